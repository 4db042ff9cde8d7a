//! Which steps are implied by others, and which objects an object depends on.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Key, Kind};
use crate::diff::plan::{Phase, Plan, Step, column_needs};

impl Plan<'_> {
    /// Returns the step whose statements also do this one.
    ///
    /// Dropping a table drops its parts; dropping a column drops its default and its owned sequence.
    pub(super) fn implied_by(&self, step: &Step) -> Option<Step> {
        let (phase, key) = step;
        match phase {
            Phase::Drop => {
                let carrier = self.carrier(key)?;
                self.dropped
                    .contains(&carrier)
                    .then_some((Phase::Drop, carrier))
            }
            Phase::Make => {
                let parent = self.inline_in(key)?;
                Some((Phase::Make, parent))
            }
            _ => None,
        }
    }

    fn carrier(&self, key: &Key) -> Option<Key> {
        let object = self.from.get(key)?;
        match key.kind {
            Kind::Function => {
                let mut served = self.base_types_of_function(self.from, key).into_iter();
                return served.find(|of| self.dropped.contains(of));
            }
            Kind::Default | Kind::Identity | Kind::NotNull => {
                let column = Key {
                    kind: Kind::Column,
                    ..key.clone()
                };
                if self.dropped.contains(&column) {
                    return Some(column);
                }
            }
            Kind::Sequence => {
                let owner = Key::named(Kind::SequenceOwner, &key.schema, &key.name);
                let column =
                    self.from.get(&owner)?.needs.iter().find(|needed| {
                        needed.kind == Kind::Column && self.dropped.contains(*needed)
                    })?;
                // A sequence that stays is detached from its column first.
                return (!self.made.contains(key)).then(|| column.clone());
            }
            Kind::SequenceOwner => {
                let sequence = Key::named(Kind::Sequence, &key.schema, &key.name);
                return (self.dropped.contains(&sequence)).then_some(sequence);
            }
            Kind::Partition => {
                // A partition that is dropped with its parent, or that nothing references, need not be detached.
                let table = self.from.parent(key)?;
                let whole = self.partition_of(&table)?;
                if !self.dropped.contains(&whole) && self.is_referenced(&whole) {
                    return None;
                }
                return (self.dropped.contains(&table) && !self.made.contains(&table))
                    .then_some(table);
            }
            Kind::Table => {
                let partition = Key::named(Kind::Partition, &key.schema, &key.name);
                let parent = self.from.get(&partition)?.needs.iter().find(|needed| {
                    needed.kind == Kind::Table && *needed != key && self.dropped.contains(*needed)
                })?;
                return (!self.made.contains(key)).then(|| parent.clone());
            }
            Kind::Constraint | Kind::Index => {
                if let Some(parent) = self.parent_index(self.from, key)
                    && self.dropped.contains(&parent)
                    && !self.is_detached(key)
                {
                    return Some(parent);
                }
                if object.text("type") == Some("foreign key")
                    && (self.leaves_reference(key) || self.loses_partitions(key))
                {
                    return None;
                }
            }
            _ => {}
        }
        let parent = self.from.parent(key)?;
        (!self.reaches(self.from, key, &parent)).then_some(parent)
    }

    /// Returns whether a foreign key references another table that is dropped, so that it must be dropped first.
    fn leaves_reference(&self, key: &Key) -> bool {
        let parent = self.from.parent(key);
        self.from.get(key).is_some_and(|object| {
            object.needs.iter().any(|needed| {
                self.dropped.contains(needed)
                    && needed.kind != Kind::Column
                    && Some(needed) != parent.as_ref()
                    && self.from.parent(needed) != parent
            })
        })
    }

    /// Returns whether partitions are detached from the table of a foreign key; they would keep a copy of it.
    fn loses_partitions(&self, key: &Key) -> bool {
        let Some(table) = self.from.parent(key) else {
            return false;
        };
        let is_whole = self.from.get(&table);
        let is_whole = is_whole.is_some_and(|object| object.has("partition_by"));
        let mut dropped = self.dropped.iter();
        is_whole
            && dropped.any(|partition| {
                partition.kind == Kind::Partition
                    && self
                        .from
                        .parent(partition)
                        .is_some_and(|part| self.partition_of(&part).as_ref() == Some(&table))
                    && self.implied_by(&(Phase::Drop, partition.clone())).is_none()
            })
    }

    /// Returns whether the table of an index is detached, so that the index is no longer dropped with its parent index.
    fn is_detached(&self, index: &Key) -> bool {
        self.from.parent(index).is_some_and(|table| {
            let partition = Key::named(Kind::Partition, &table.schema, &table.name);
            self.dropped.contains(&partition)
                && self.implied_by(&(Phase::Drop, partition)).is_none()
        })
    }

    /// Returns whether a part depends on its own relation through functions, operators or views.
    fn reaches(&self, catalog: &Catalog, part: &Key, whole: &Key) -> bool {
        let Some(object) = catalog.get(part) else {
            return false;
        };
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        let mut waiting: Vec<&Key> = object
            .needs
            .iter()
            .filter(|needed| is_routine(needed.kind))
            .collect();
        while let Some(key) = waiting.pop() {
            if !seen.insert(key) {
                continue;
            }
            if key == whole || catalog.parent(key).as_ref() == Some(whole) {
                return true;
            }
            if let Some(object) = catalog.get(key) {
                waiting.extend(&object.needs);
            }
        }
        false
    }

    /// Finds the table or column whose definition includes this default or identity.
    pub(super) fn inline_in(&self, key: &Key) -> Option<Key> {
        if !matches!(key.kind, Kind::Default | Kind::Identity | Kind::NotNull) {
            return None;
        }
        let parent = self.to.parent(key)?;
        if !matches!(parent.kind, Kind::Table | Kind::ForeignTable)
            || self.reaches(self.to, key, &parent)
        {
            return None;
        }
        let column = Key {
            kind: Kind::Column,
            ..key.clone()
        };
        let object = self.to.get(&column)?;
        if key.kind == Kind::NotNull && self.to.get(key)?.has("not_valid") {
            return None;
        }
        if self.made.contains(&parent) {
            // An inherited column is not part of the definition.
            let own = object.text("inherited") == Some("also") && key.kind == Kind::Default;
            let spelt = own || !object.has("inherited") || self.to.get(&parent)?.has("partition");
            return spelt.then_some(parent);
        }
        (self.made.contains(&column) && !self.follows_parent(&column)).then_some(column)
    }

    /// Returns whether this change follows from the same change of the parent table.
    pub(super) fn follows_parent(&self, key: &Key) -> bool {
        let side = if self.made.contains(key) || self.altered.contains(key) {
            self.to
        } else {
            self.from
        };
        let inherited = side.get(key).is_some_and(|object| object.has("inherited"));
        let whole = Key::named(Kind::Table, &key.schema, &key.name);
        // The state of an inherited trigger is its own and does not follow from the parent.
        let own = key.kind == Kind::Trigger && self.made.contains(key);
        if own
            || self.is_also_local(side, key)
            || !inherited
            || self.made.contains(&whole)
            || self.dropped.contains(&whole)
        {
            return false;
        }
        self.parents_of(&whole).iter().any(|parent| {
            let parent_part = Key {
                kind: key.kind,
                schema: parent.schema.clone(),
                name: parent.name.clone(),
                part: key.part.clone(),
            };
            !self.made.contains(parent)
                && (self.made.contains(&parent_part) == self.made.contains(key))
                && (self.dropped.contains(&parent_part) == self.dropped.contains(key))
                && (self.made.contains(&parent_part)
                    || self.dropped.contains(&parent_part)
                    || self.altered.contains(&parent_part))
        })
    }

    /// Returns whether an added or dropped column or check is declared by its table as well as by a parent.
    ///
    /// It is merged with the parent's when both are added, and stays when the parent's is dropped.
    pub(super) fn is_also_local(&self, catalog: &Catalog, key: &Key) -> bool {
        let inherited = catalog.get(key).and_then(|object| object.text("inherited"));
        let both = match key.kind {
            Kind::Column => inherited == Some("also"),
            // For tables that are not partitions, only local constraints are read.
            Kind::Constraint => {
                let table = catalog.parent(key);
                let table = table.and_then(|table| catalog.get(&table));
                inherited.is_some() && table.is_some_and(|table| !table.has("partition"))
            }
            _ => false,
        };
        both && (self.made.contains(key) || self.dropped.contains(key))
    }

    /// Returns the columns in `from` that a column is inherited from, the nearest first.
    pub(super) fn ancestor_columns(&self, column: &Key) -> Vec<Key> {
        let mut found = Vec::new();
        if column.kind != Kind::Column {
            return found;
        }
        let mut waiting = vec![column.clone()];
        while let Some(key) = waiting.pop() {
            let table = Key::named(Kind::Table, &key.schema, &key.name);
            for parent in self.parents_of(&table) {
                let parent_part = Key::part(Kind::Column, &parent.schema, &parent.name, &key.part);
                if self.from.get(&parent_part).is_some() && !found.contains(&parent_part) {
                    found.push(parent_part.clone());
                    waiting.push(parent_part);
                }
            }
        }
        found
    }

    /// Returns the tables in `from` that a table inherits from or is a partition of.
    pub(super) fn parents_of(&self, table: &Key) -> Vec<Key> {
        let partition = Key::named(Kind::Partition, &table.schema, &table.name);
        let holder = self.from.get(&partition).or_else(|| self.from.get(table));
        let needs = holder
            .map(|object| object.needs.as_slice())
            .unwrap_or_default();
        needs
            .iter()
            .filter(|needed| needed.kind == Kind::Table && *needed != table)
            .cloned()
            .collect()
    }

    /// Returns what an object depends on: its recorded dependencies, its parent, its schema.
    pub(super) fn dependencies(&self, catalog: &Catalog, key: &Key) -> Vec<Key> {
        let mut found: Vec<Key> = catalog
            .get(key)
            .map(|object| object.needs.clone())
            .unwrap_or_default();
        found.extend(catalog.parent(key));
        if !key.schema.is_empty() {
            found.push(Key::named(Kind::Schema, "", &key.schema));
        }
        match key.kind {
            Kind::Default | Kind::Identity | Kind::NotNull => found.push(Key {
                kind: Kind::Column,
                ..key.clone()
            }),
            Kind::Type => found.extend(column_needs(catalog, key)),
            Kind::UserMapping => found.push(Key::named(Kind::Server, "", &key.name)),
            Kind::Server | Kind::ForeignTable => {
                let object = catalog.get(key);
                let wrapper = object.and_then(|object| object.text("wrapper"));
                let server = object.and_then(|object| object.text("server"));
                found.extend(wrapper.map(|name| Key::named(Kind::ForeignDataWrapper, "", name)));
                found.extend(server.map(|name| Key::named(Kind::Server, "", name)));
            }
            // Row-level security is enabled after its policies are created, and disabled before they are dropped.
            Kind::RowSecurity => found.extend(
                catalog
                    .parts(Kind::Policy, &key.schema, &key.name)
                    .map(|(policy, _)| policy.clone()),
            ),
            Kind::Extension => {
                let schema = catalog.get(key).and_then(|object| object.text("in_schema"));
                found.extend(schema.map(|name| Key::named(Kind::Schema, "", name)));
            }
            _ => {}
        }
        found
    }
}

fn is_routine(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Operator | Kind::View
    )
}
