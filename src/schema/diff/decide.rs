//! Decides which objects are created, dropped, altered in place, or dropped and created again.
//!
//! Everything that depends on a replaced object is replaced with it, so that nothing is lost and no statement needs
//! CASCADE.

use crate::catalog::{Catalog, Key, Kind};
use crate::diff::ddl::step::{can_alter, changes_type};
use crate::diff::plan::{Options, Plan, Side};

pub(super) fn decide<'a>(from: &'a Catalog, to: &'a Catalog, options: &'a Options) -> Plan<'a> {
    let mut plan = Plan::of_changes(from, to, options);
    plan.propagate_all();
    plan
}

impl Plan<'_> {
    fn propagate_all(&mut self) {
        for key in self.dropped.clone() {
            self.with_parts(&key, Side::From);
            self.queue.push_back(key);
        }
        for key in self.made.clone() {
            self.with_parts(&key, Side::To);
        }
        // Columns first: whether their table keeps its order depends on which of them are replaced.
        let (columns, others): (Vec<Key>, Vec<Key>) = self
            .altered
            .iter()
            .cloned()
            .partition(|key| key.kind == Kind::Column);
        for key in columns.into_iter().chain(others) {
            if self.altered.contains(&key) && !can_alter(self, &key) {
                self.replace(&key);
            }
        }
        for key in self.altered.clone() {
            if key.kind == Kind::Column && changes_type(self, &key) {
                self.retype(&key);
            }
        }
        loop {
            while let Some(key) = self.queue.pop_front() {
                self.propagate(&key);
            }
            if !(self.replace_stuck_indexes()
                | self.replace_disordered_tables()
                | self.replace_relations())
            {
                return;
            }
        }
    }

    /// Applies a drop or a change of type to the dependents.
    fn propagate(&mut self, key: &Key) {
        let retyped = !self.dropped.contains(key);
        if retyped {
            let default = Key {
                kind: Kind::Default,
                ..key.clone()
            };
            if self.from.get(&default).is_some() {
                self.drop_or_replace(&default);
            }
        }
        for dependent in self.dependents.get(key).cloned().unwrap_or_default() {
            if self.dropped.contains(dependent) {
                continue;
            }
            if retyped {
                if blocks_type_change(dependent.kind)
                    || self.has_target(dependent)
                    || dependent.kind == Kind::Constraint && !self.is_key_constraint(dependent)
                {
                    self.drop_or_replace(dependent);
                }
                continue;
            }
            self.propagate_to(key, dependent);
        }
    }

    /// Returns whether these are statistics whose target is lost when the type of a column changes.
    fn has_target(&self, key: &Key) -> bool {
        key.kind == Kind::Statistics
            && self
                .from
                .get(key)
                .is_some_and(|object| object.has("target"))
    }

    fn is_key_constraint(&self, key: &Key) -> bool {
        self.from
            .get(key)
            .and_then(|object| object.text("type"))
            .is_some_and(|kind| kind != "check" && kind != "foreign key")
    }

    fn propagate_to(&mut self, key: &Key, dependent: &Key) {
        let again = self.made.contains(key);
        match (key.kind, dependent.kind) {
            (_, Kind::Extension | Kind::Schema | Kind::Database) => {}
            (Kind::Type | Kind::Extension, Kind::Column) if again => {
                let parent = self.from.parent(dependent);
                if parent.is_some_and(|parent| !self.dropped.contains(&parent)) {
                    self.retype(dependent);
                }
            }
            // Another statement removes the dependency.
            _ if !again
                && self.altered.contains(dependent)
                && alter_releases_dependencies(dependent.kind) => {}
            _ => self.drop_or_replace(dependent),
        }
    }
}

fn blocks_type_change(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::View
            | Kind::MaterializedView
            | Kind::Rule
            | Kind::Policy
            | Kind::Trigger
            | Kind::Function
            | Kind::Procedure
            | Kind::Publication
            | Kind::Column
    )
}

fn alter_releases_dependencies(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Function
            | Kind::Procedure
            | Kind::View
            | Kind::Default
            | Kind::Policy
            | Kind::EventTrigger
            | Kind::SequenceOwner
            | Kind::Publication
            | Kind::Column
            | Kind::Table
    )
}
