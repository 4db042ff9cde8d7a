//! The change plan: which objects are dropped, made and altered, filled by [`decide`](crate::diff::decide).

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::catalog::{Catalog, Key, Kind};
use crate::diff::between;

/// Options for the statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rebuild a table with its rows when its columns would end in another order.
    pub column_order: bool,
    /// Use the forms that do not block writes: indexes `CONCURRENTLY` and keys built on them, constraints `NOT VALID`
    /// and then validated.
    pub online: bool,
}

/// What a step does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    /// Drops it, or renames it when it is replaced and its rows or dependents are still needed.
    Drop,
    Make,
    /// Moves the rows of the old table into the new one.
    Fill,
    /// Drops a renamed type.
    Discard,
}

/// One node of the graph.
pub(super) type Step = (Phase, Key);

/// What happens to every object that changes.
pub(super) struct Plan<'a> {
    pub(super) from: &'a Catalog,
    pub(super) to: &'a Catalog,
    pub(super) options: &'a Options,
    /// Dropped; replaced if also in `made`.
    pub(super) dropped: BTreeSet<Key>,
    pub(super) made: BTreeSet<Key>,
    pub(super) altered: BTreeSet<Key>,
    /// Columns whose type changes or is replaced.
    pub(super) retyped: BTreeSet<Key>,
    /// The objects that depend on an object, in `from`.
    pub(super) dependents: HashMap<&'a Key, Vec<&'a Key>>,
    /// Indexes and statistics by their table.
    pub(super) indexes_from: HashMap<&'a Key, Vec<&'a Key>>,
    pub(super) indexes_to: HashMap<&'a Key, Vec<&'a Key>>,
    /// Dropped or retyped objects whose dependents have not been looked at yet.
    pub(super) queue: VecDeque<Key>,
}

const PARTS: &[Kind] = &[
    Kind::Column,
    Kind::Default,
    Kind::Identity,
    Kind::NotNull,
    Kind::Partition,
    Kind::Constraint,
    Kind::Rule,
    Kind::Trigger,
    Kind::Policy,
    Kind::RowSecurity,
    Kind::DomainConstraint,
];

impl<'a> Plan<'a> {
    /// Sorts the differences of two catalogs into dropped, made and altered.
    pub(super) fn of_changes(from: &'a Catalog, to: &'a Catalog, options: &'a Options) -> Self {
        let mut plan = Plan {
            from,
            to,
            options,
            dropped: BTreeSet::new(),
            made: BTreeSet::new(),
            altered: BTreeSet::new(),
            retyped: BTreeSet::new(),
            dependents: HashMap::new(),
            indexes_from: by_table(from),
            indexes_to: by_table(to),
            queue: VecDeque::new(),
        };
        let changes = between(from, to);
        if changes.is_empty() {
            return plan;
        }
        for (key, object) in &from.objects {
            for needed in &object.needs {
                plan.dependents.entry(needed).or_default().push(key);
            }
        }
        for change in changes {
            match (change.before, change.after) {
                (None, _) => plan.made.insert(change.key),
                (_, None) => plan.dropped.insert(change.key),
                _ => plan.altered.insert(change.key),
            };
        }
        plan
    }

    /// Drops and recreates an object with its parts.
    pub(super) fn replace(&mut self, key: &Key) {
        self.altered.remove(key);
        self.retyped.remove(key);
        self.made.insert(key.clone());
        if self.dropped.insert(key.clone()) {
            self.queue.push_back(key.clone());
        }
        self.with_parts(key, Side::From);
        self.with_parts(key, Side::To);
    }

    pub(super) fn with_parts(&mut self, key: &Key, side: Side) {
        if !(key.kind.is_relation() || key.kind == Kind::Type) {
            return;
        }
        let (catalog, on) = match side {
            Side::From => (self.from, &self.indexes_from),
            Side::To => (self.to, &self.indexes_to),
        };
        let mut parts: Vec<Key> = PARTS
            .iter()
            .flat_map(|kind| catalog.parts(*kind, &key.schema, &key.name))
            .map(|(part, _)| part.clone())
            .collect();
        parts.extend(
            on.get(key)
                .into_iter()
                .flatten()
                .map(|part| (*part).clone()),
        );
        for part in parts {
            self.altered.remove(&part);
            self.retyped.remove(&part);
            match side {
                Side::From => {
                    // An index keeps its name on another table.
                    if self.to.get(&part).is_some() {
                        self.made.insert(part.clone());
                    }
                    if self.dropped.insert(part.clone()) {
                        self.queue.push_back(part);
                    }
                }
                Side::To => {
                    self.made.insert(part);
                }
            }
        }
    }

    pub(super) fn retype(&mut self, key: &Key) {
        if self.retyped.insert(key.clone()) {
            self.altered.insert(key.clone());
            self.queue.push_back(key.clone());
        }
    }

    /// Drops an object before its dependency changes, and recreates it if it is in `to`.
    pub(super) fn drop_or_replace(&mut self, key: &Key) {
        if self.to.get(key).is_some() {
            self.replace(key);
        } else if self.dropped.insert(key.clone()) {
            self.queue.push_back(key.clone());
        }
    }

    /// Returns whether an object is dropped and recreated.
    pub(super) fn is_replaced(&self, key: &Key) -> bool {
        self.dropped.contains(key) && self.made.contains(key)
    }

    /// Returns whether a table is recreated and its rows are moved.
    pub(super) fn is_rebuilt(&self, key: &Key) -> bool {
        matches!(key.kind, Kind::Table) && self.is_replaced(key)
    }

    /// Returns whether a type is renamed while columns are changed to its successor.
    pub(super) fn is_renamed_away(&self, key: &Key) -> bool {
        key.kind == Kind::Type
            && self.is_replaced(key)
            && self.dependents.get(key).is_some_and(|dependents| {
                dependents.iter().any(|dependent| {
                    self.retyped.contains(*dependent) || self.is_rebuilt_part(dependent)
                })
            })
    }

    fn is_rebuilt_part(&self, key: &Key) -> bool {
        key.kind == Kind::Column
            && self
                .from
                .parent(key)
                .is_some_and(|parent| self.is_rebuilt(&parent))
    }

    /// Returns the catalog that names an object; the database keeps its name in `from`, where the statements run.
    pub(super) fn catalog_naming(&self, key: &Key) -> &'a Catalog {
        if key.kind == Kind::Database {
            self.from
        } else {
            self.to
        }
    }
}

/// Which of the two catalogs.
#[derive(Clone, Copy)]
pub(super) enum Side {
    From,
    To,
}

fn by_table(catalog: &Catalog) -> HashMap<&Key, Vec<&Key>> {
    let mut map: HashMap<&Key, Vec<&Key>> = HashMap::new();
    for kind in [Kind::Index, Kind::Statistics] {
        for (key, object) in catalog.of_kind(kind) {
            if let Some(table) = &object.on {
                map.entry(table).or_default().push(key);
            }
        }
    }
    map
}

pub(super) fn column_needs(catalog: &Catalog, relation: &Key) -> Vec<Key> {
    catalog
        .parts(Kind::Column, &relation.schema, &relation.name)
        .flat_map(|(_, column)| column.needs.clone())
        .filter(|needed| {
            needed.kind != Kind::Column
                || needed.schema != relation.schema
                || needed.name != relation.name
        })
        .collect()
}
