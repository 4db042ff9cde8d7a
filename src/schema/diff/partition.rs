//! Says how partitions and their indexes belong to the whole, and which of them must be made again to come or go.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Key, Kind, Object};
use crate::diff::plan::Plan;

impl<'a> Plan<'a> {
    /// Has indexes made again that PostgreSQL would not let go of, or would take for another; says whether there were any.
    ///
    /// The index of a partition leaves that of the whole only when one of the two goes, or the partition does. And a
    /// partition that is attached lends the whole the first of its indexes that fits.
    pub(super) fn replace_stuck_indexes(&mut self) -> bool {
        let mut again = BTreeSet::new();
        for key in self.dropped.iter().chain(&self.altered) {
            let Some(whole) = self.parent_index(self.from, key) else {
                continue;
            };
            let stays = self.altered.contains(key)
                && self.parent_index(self.to, key).as_ref() == Some(&whole);
            let table = self.from.parent(key);
            let leaves = table.is_some_and(|table| {
                self.dropped.contains(&table)
                    || self.dropped.contains(&Key::named(
                        Kind::Partition,
                        &table.schema,
                        &table.name,
                    ))
            });
            if !(stays || leaves || self.dropped.contains(&whole)) {
                again.insert(whole);
            }
        }
        for partition in self.made.iter().filter(|key| key.kind == Kind::Partition) {
            again.extend(self.indexes_to_swap(partition));
        }
        for key in &again {
            self.drop_or_replace(key);
        }
        !again.is_empty()
    }

    /// Returns the indexes that attaching a partition would lend its whole in place of others.
    fn indexes_to_swap(&self, partition: &Key) -> Vec<Key> {
        let indexes = self.indexes_of(self.to, partition);
        let shape = |key: &Key| self.to.get(key).and_then(index_shape);
        let (lent, own): (Vec<&Key>, Vec<&Key>) = indexes
            .iter()
            .partition(|key| self.parent_index(self.to, key).is_some());
        let mut mistaken = own;
        mistaken.retain(|key| {
            self.from.get(key).is_some()
                && !self.dropped.contains(*key)
                && lent.iter().any(|lent| shape(lent) == shape(key))
        });
        mistaken.into_iter().cloned().collect()
    }

    /// Returns the indexes of the table that a partition is, those of its keys among them.
    pub(super) fn indexes_of(&self, catalog: &'a Catalog, partition: &Key) -> Vec<Key> {
        let on = if std::ptr::eq(catalog, self.to) {
            &self.indexes_to
        } else {
            &self.indexes_from
        };
        let table = catalog.parent(partition);
        let indexes = table.and_then(|table| on.get(&table)).into_iter().flatten();
        let indexes = indexes.filter(|key| key.kind == Kind::Index);
        catalog
            .parts(Kind::Constraint, &partition.schema, &partition.name)
            .filter(|(_, object)| has_index(object))
            .map(|(key, _)| key.clone())
            .chain(indexes.map(|key| (*key).clone()))
            .collect()
    }

    /// Returns whether the index of a partition's key belongs to this one, which is no key itself.
    pub(super) fn backs_partition_key(&self, index: &Key) -> bool {
        let mut dependents = self.dependents.get(index).into_iter().flatten();
        dependents.any(|key| {
            key.kind == Kind::Constraint
                && self.parent_index(self.from, key).as_ref() == Some(index)
        })
    }

    /// Returns whether a foreign key refers to a partitioned table or to one that it is a partition of.
    pub(super) fn is_referenced(&self, table: &Key) -> bool {
        let qualified = table.qualified();
        let mut keys = self.from.of_kind(Kind::Constraint);
        keys.any(|(_, object)| object.text("references") == Some(&qualified))
            || self
                .partition_of(table)
                .is_some_and(|whole| self.is_referenced(&whole))
    }

    /// Returns the foreign keys that a partition has from what it is a partition of.
    pub(super) fn inherited_foreign_keys(&self, partition: &Key) -> Vec<Key> {
        let mut found = Vec::new();
        let mut table = self.from.parent(partition);
        while let Some(whole) = table.and_then(|table| self.partition_of(&table)) {
            let keys = self
                .from
                .parts(Kind::Constraint, &whole.schema, &whole.name);
            found.extend(
                keys.filter(|(_, object)| object.text("type") == Some("foreign key"))
                    .map(|(key, _)| key.clone()),
            );
            table = Some(whole);
        }
        found
    }

    /// Returns the foreign keys that go and refer to what a partition belongs to.
    pub(super) fn dropped_foreign_keys_to(&self, partition: &Key) -> Vec<Key> {
        let mut wholes = BTreeSet::new();
        let mut table = self.from.parent(partition);
        while let Some(whole) = table.and_then(|table| self.partition_of(&table)) {
            wholes.insert(whole.qualified());
            table = Some(whole);
        }
        let dropped = self.dropped.iter();
        let references = dropped.filter(|key| {
            let object = self.from.get(key).filter(|_| key.kind == Kind::Constraint);
            let to = object.and_then(|object| object.text("references"));
            to.is_some_and(|to| wholes.contains(to))
        });
        references.cloned().collect()
    }

    /// Returns the tables that inherit a column directly, or are partitions of its table, before the change.
    pub(super) fn child_columns(&self, column: &Key) -> Vec<Key> {
        let table = Key::named(Kind::Table, &column.schema, &column.name);
        self.from
            .of_kind(Kind::Table)
            .filter(|(other, _)| self.parents_of(other).contains(&table))
            .map(|(other, _)| Key::part(Kind::Column, &other.schema, &other.name, &column.part))
            .collect()
    }

    /// Returns the table that another is a partition of.
    pub(super) fn partition_of(&self, table: &Key) -> Option<Key> {
        let partition = Key::named(Kind::Partition, &table.schema, &table.name);
        let mut needs = self.from.get(&partition)?.needs.iter();
        needs
            .find(|needed| needed.kind == Kind::Table && *needed != table)
            .cloned()
    }

    /// Returns whether attaching its partition makes an index part of that of the whole.
    pub(super) fn attaches_with_partition(&self, key: &Key) -> bool {
        let Some(table) = self.to.parent(key) else {
            return false;
        };
        self.made
            .contains(&Key::named(Kind::Partition, &table.schema, &table.name))
            && self
                .parent_index(self.to, key)
                .is_some_and(|whole| !self.made.contains(&whole))
    }

    /// Finds the index on the partitioned table that this one belongs to.
    pub(super) fn parent_index(&self, catalog: &Catalog, key: &Key) -> Option<Key> {
        let object = catalog.get(key)?;
        object.text("parent")?;
        object
            .needs
            .iter()
            .find(|needed| matches!(needed.kind, Kind::Index | Kind::Constraint))
            .cloned()
    }
}

/// Returns whether a constraint is kept by an index.
fn has_index(constraint: &Object) -> bool {
    matches!(
        constraint.text("type"),
        Some("primary key" | "unique" | "exclusion")
    )
}

/// Returns what two indexes must have in common to be taken for each other.
fn index_shape(index: &Object) -> Option<(bool, &str)> {
    let definition = index.text("definition")?;
    if index.text("type").is_some() {
        return definition
            .split_once('(')
            .map(|(_, columns)| (true, columns));
    }
    let (_, columns) = definition.split_once(" USING ")?;
    let (_, columns) = columns.split_once('(')?;
    Some((index.has("unique"), columns))
}
