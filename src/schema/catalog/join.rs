//! Joins what was read into the objects of a catalog: what each needs, and nothing whose relation was not read.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::{Key, Kind, Object, Ours, Text};

/// Two objects by their numbers, the first of which needs the second.
pub(super) type Edge = (u32, u32);

/// Sorts objects into a map, each with what it needs.
pub(super) fn objects(mut objects: Vec<(Key, Object)>, edges: Vec<Edge>) -> BTreeMap<Key, Object> {
    need(&mut objects, edges);
    let standing = Standing::of(&objects);
    objects.retain(|(key, object)| standing.holds(key, object) && !is_ours(key));
    drop(standing);
    objects.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    gathered(objects)
}

/// Makes a map of what is sorted, which is as small as can be: one that is filled one by one is half empty.
///
/// It is made piece by piece, so that a hundred thousand objects are not held twice.
fn gathered(mut objects: Vec<(Key, Object)>) -> BTreeMap<Key, Object> {
    let piece = (objects.len() / PIECES).max(SMALL);
    let mut map = BTreeMap::new();
    while !objects.is_empty() {
        let rest = objects.len().saturating_sub(piece);
        let mut first: BTreeMap<Key, Object> = objects.drain(rest..).collect();
        objects.shrink_to_fit();
        first.append(&mut map);
        map = first;
    }
    map
}

/// In how many pieces a map is made: more are slower, fewer hold more at once.
const PIECES: usize = 8;
/// How many objects are not worth a piece.
const SMALL: usize = 10_000;

fn is_ours(key: &Key) -> bool {
    &*key.name == Ours::HISTORY || &*key.schema == Ours::SCHEMA
}

/// Tells every object what it needs, sorted.
fn need(objects: &mut [(Key, Object)], mut edges: Vec<Edge>) {
    edges.sort_unstable();
    edges.dedup();
    let mut owners: HashMap<(Text, Text), Vec<Key>> = HashMap::new();
    for of_one in edges.chunk_by(|one, other| one.0 == other.0) {
        let index = of_one[0].0 as usize;
        let needed = of_one
            .iter()
            .map(|(_, needed)| &objects[*needed as usize].0);
        let key = &objects[index].0;
        let mut needs: Vec<Key> = needed.filter(|needed| *needed != key).cloned().collect();
        if key.kind == Kind::Sequence {
            // The column stands on the sequence; only its being owned stands on the column.
            let (columns, others) = needs
                .into_iter()
                .partition(|needed| needed.kind == Kind::Column);
            needs = others;
            owners.insert((key.schema.clone(), key.name.clone()), columns);
        }
        needs.sort_unstable();
        needs.dedup();
        needs.shrink_to_fit();
        objects[index].1.needs = needs;
    }
    for (key, object) in objects {
        if key.kind == Kind::SequenceOwner {
            let owned = owners.remove(&(key.schema.clone(), key.name.clone()));
            let sequence = Key::named(Kind::Sequence, &key.schema, &key.name);
            let needs = owned.into_iter().flatten().chain([sequence]);
            object.needs.extend(needs.filter(|needed| needed != key));
            object.needs.sort_unstable();
            object.needs.dedup();
        }
    }
}

/// The relations and sequences that were read.
struct Standing {
    relations: HashSet<(Text, Text)>,
    sequences: HashSet<(Text, Text)>,
}

impl Standing {
    fn of(objects: &[(Key, Object)]) -> Self {
        let named = |test: fn(Kind) -> bool| {
            let keys = objects.iter().map(|(key, _)| key);
            let found = keys.filter(|key| test(key.kind));
            found
                .map(|key| (key.schema.clone(), key.name.clone()))
                .collect()
        };
        Standing {
            relations: named(|kind| kind.is_relation() || kind == Kind::Type),
            sequences: named(|kind| kind == Kind::Sequence),
        }
    }

    /// Returns whether what the object is a part of was read: parts of extensions and of what is ours were not.
    ///
    /// Policies and triggers stay, since users put theirs on the platform's tables; so does whether the policies count.
    fn holds(&self, key: &Key, object: &Object) -> bool {
        let name = || (key.schema.clone(), key.name.clone());
        match key.kind {
            Kind::Policy | Kind::Trigger | Kind::RowSecurity => true,
            Kind::Index | Kind::Statistics => object.on.as_deref().is_some_and(|on| !is_ours(on)),
            Kind::SequenceOwner => self.sequences.contains(&name()),
            kind if kind.is_part() => self.relations.contains(&name()),
            _ => true,
        }
    }
}
