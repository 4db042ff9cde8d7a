//! Which relations are replaced because one of their parts cannot be altered in place.

use std::collections::BTreeSet;

use crate::catalog::{Key, Kind, Text};
use crate::diff::natural_order;
use crate::diff::plan::Plan;
use crate::sql::name::Ident;

impl Plan<'_> {
    /// Rebuilds tables whose columns would end in another order; returns whether there were any.
    pub(super) fn replace_disordered_tables(&mut self) -> bool {
        if !self.options.column_order {
            return false;
        }
        let mut tables: BTreeSet<Key> = self
            .altered
            .iter()
            .filter(|key| key.kind == Kind::Table)
            .cloned()
            .collect();
        for key in self.dropped.iter().chain(&self.made) {
            if key.kind == Kind::Column {
                tables.insert(Key::named(Kind::Table, &key.schema, &key.name));
            }
        }
        let mut any = false;
        for table in tables {
            if !self.dropped.contains(&table)
                && !self.made.contains(&table)
                && self.disordered(&table)
            {
                self.replace(&table);
                any = true;
            }
        }
        any
    }

    /// Replaces relations in which PostgreSQL cannot alter a column; returns whether there were any.
    ///
    /// These are tables partitioned by the column, composite types used in tables, and children
    /// whose column is replaced while that of its parents stays.
    pub(super) fn replace_relations(&mut self) -> bool {
        let fixed = |column: &&Key| {
            let parent = self.from.parent(column)?;
            if self.dropped.contains(&parent) {
                return None;
            }
            let fixed = if !self.retyped.contains(*column) {
                let object = self.from.get(column)?;
                let parent_part = self.ancestor_columns(column);
                object.has("inherited")
                    && self.made.contains(*column)
                    && !parent_part
                        .iter()
                        .any(|parent_part| self.dropped.contains(parent_part))
            } else if parent.kind == Kind::Type {
                self.is_column_type(&parent)
            } else {
                let by = self.from.get(&parent)?.text("partition_by");
                by.is_some_and(|by| mentions(by, &column.part))
            };
            // Replace the topmost parent: keys created on a partition alone would exist beside those of the parent.
            let mut whole = parent;
            while let Some(parent_part) = self.partition_of(&whole) {
                whole = parent_part;
            }
            fixed.then_some(whole)
        };
        let columns = self.retyped.iter().chain(&self.dropped);
        let columns = columns.filter(|key| key.kind == Kind::Column);
        let mut relations: BTreeSet<Key> = columns.filter_map(|column| fixed(&column)).collect();
        relations.retain(|whole| !self.dropped.contains(whole));
        for whole in &relations {
            self.replace(whole);
        }
        !relations.is_empty()
    }

    /// Returns whether a table in `from` has a column of the type.
    fn is_column_type(&self, of: &Key) -> bool {
        let mut dependents = self.dependents.get(of).into_iter().flatten();
        dependents.any(|key| {
            key.kind == Kind::Column
                && self
                    .from
                    .parent(key)
                    .is_some_and(|parent| parent.kind.is_relation())
        })
    }

    fn disordered(&self, table: &Key) -> bool {
        let (Some(old), Some(new)) = (self.from.get(table), self.to.get(table)) else {
            return false;
        };
        let made_again = |name: &Text| {
            let column = Key::part(Kind::Column, &table.schema, &table.name, name);
            self.dropped.contains(&column)
        };
        let new = new.list("columns");
        natural_order(old.list("columns"), new, made_again) != new
    }
}

/// Returns whether an expression may name a column.
fn mentions(text: &str, column: &str) -> bool {
    let name = Ident::new(column).to_string();
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '"');
    text.match_indices(&name).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}
