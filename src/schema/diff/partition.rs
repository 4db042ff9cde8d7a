//! How partitions and their indexes depend on the partitioned table, and which indexes must be replaced.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Key, Kind, Object};
use crate::diff::plan::Plan;

impl<'a> Plan<'a> {
    /// Replaces indexes that PostgreSQL cannot detach, or would attach in place of another.
    ///
    /// Returns whether there were any.
    ///
    /// A partition's index leaves its parent index only when one of them or the partition is dropped, and attaching a
    /// partition attaches the first matching index.
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

    /// Returns the indexes that attaching a partition would attach in place of others.
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

    /// Returns the indexes of a partition, including those of its keys.
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

    /// Returns whether this plain index is the parent of the index of a partition's key.
    pub(super) fn backs_partition_key(&self, index: &Key) -> bool {
        let mut dependents = self.dependents.get(index).into_iter().flatten();
        dependents.any(|key| {
            key.kind == Kind::Constraint
                && self.parent_index(self.from, key).as_ref() == Some(index)
        })
    }

    /// Returns whether a foreign key references a partitioned table or one of its parents.
    pub(super) fn is_referenced(&self, table: &Key) -> bool {
        let qualified = table.qualified();
        let mut keys = self.from.of_kind(Kind::Constraint);
        keys.any(|(_, object)| object.text("references") == Some(&qualified))
            || self
                .partition_of(table)
                .is_some_and(|whole| self.is_referenced(&whole))
    }

    /// Returns the foreign keys that a partition inherits.
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

    /// Returns the dropped foreign keys that reference a parent of the partition.
    pub(super) fn dropped_foreign_keys_to(&self, partition: &Key) -> Vec<Key> {
        let mut relations = BTreeSet::new();
        let mut table = self.from.parent(partition);
        while let Some(whole) = table.and_then(|table| self.partition_of(&table)) {
            relations.insert(whole.qualified());
            table = Some(whole);
        }
        let dropped = self.dropped.iter();
        let references = dropped.filter(|key| {
            let object = self.from.get(key).filter(|_| key.kind == Kind::Constraint);
            let to = object.and_then(|object| object.text("references"));
            to.is_some_and(|to| relations.contains(to))
        });
        references.cloned().collect()
    }

    /// Returns the columns in `from` that directly inherit a column, also in partitions.
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

    /// Returns whether attaching its partition attaches an index to its parent index.
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

    /// Finds the parent index on the partitioned table.
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

/// Returns whether a constraint has an index.
fn has_index(constraint: &Object) -> bool {
    matches!(
        constraint.text("type"),
        Some("primary key" | "unique" | "exclusion")
    )
}

/// Returns the part of the definition by which PostgreSQL matches an index with a parent index.
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
