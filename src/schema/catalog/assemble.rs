//! Builds the objects of a catalog with their dependencies, without parts whose relation was not read.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::{Key, Kind, Object, OwnObjects, Text};

/// Two objects by index; the first depends on the second.
pub(super) type Edge = (u32, u32);

/// Builds the sorted map of objects, each with its dependencies.
pub(super) fn objects(mut objects: Vec<(Key, Object)>, edges: Vec<Edge>) -> BTreeMap<Key, Object> {
    set_needs(&mut objects, edges);
    let relations_read = ReadRelations::of(&objects);
    objects.retain(|(key, object)| relations_read.holds(key, object) && !is_ours(key));
    drop(relations_read);
    objects.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    into_compact_map(objects)
}

/// Builds a compact map from sorted objects; one that is filled one by one is half empty.
///
/// The map is built in batches, so that a hundred thousand objects are not held twice.
fn into_compact_map(mut objects: Vec<(Key, Object)>) -> BTreeMap<Key, Object> {
    let piece = (objects.len() / BATCHES).max(MIN_BATCH);
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

/// More batches are slower, fewer hold more in memory.
const BATCHES: usize = 8;
const MIN_BATCH: usize = 10_000;

fn is_ours(key: &Key) -> bool {
    &*key.name == OwnObjects::HISTORY || &*key.schema == OwnObjects::SCHEMA
}

/// Sets the sorted dependencies of every object.
fn set_needs(objects: &mut [(Key, Object)], mut edges: Vec<Edge>) {
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
            // The column depends on the sequence; only the ownership depends on the column.
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
struct ReadRelations {
    relations: HashSet<(Text, Text)>,
    sequences: HashSet<(Text, Text)>,
}

impl ReadRelations {
    fn of(objects: &[(Key, Object)]) -> Self {
        let named = |test: fn(Kind) -> bool| {
            let keys = objects.iter().map(|(key, _)| key);
            let found = keys.filter(|key| test(key.kind));
            found
                .map(|key| (key.schema.clone(), key.name.clone()))
                .collect()
        };
        ReadRelations {
            relations: named(|kind| kind.is_relation() || kind == Kind::Type),
            sequences: named(|kind| kind == Kind::Sequence),
        }
    }

    /// Returns whether the relation of a part was read; those of extensions and of af-db's own tables are not.
    ///
    /// Policies, triggers and row-level security are always kept, since users add theirs to the platform's tables.
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
