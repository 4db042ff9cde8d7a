//! Writes the statements of one step, by the kind of its object.
//!
//! Whether an object can be altered in place is decided by whether there are statements that do it.

use super::names::{name, with_kind};
use super::{global, index, ownership_and_grants, rebuild, relation, routine, table, types};
use crate::catalog::{Key, Kind, Object};
use crate::diff::plan::{Phase, Plan, Step};
use crate::sql::safe::Sql;

/// Returns the statements of one step; none if another step implies it.
pub(super) fn step_statements(plan: &Plan<'_>, step: &Step) -> Vec<Sql> {
    let (phase, key) = step;
    let is_implied = plan.implied_by(step).is_some();
    match phase {
        Phase::Drop if is_implied => Vec::new(),
        Phase::Drop => drop(plan, key),
        Phase::Fill => rebuild::fill(plan, key),
        Phase::Discard => types::discard(plan, key),
        Phase::Make => {
            let Some(after) = plan.to.get(key) else {
                return Vec::new();
            };
            if plan.altered.contains(key) {
                let Some(before) = plan.from.get(key) else {
                    return Vec::new();
                };
                let mut sql = alter(plan, key).unwrap_or_default();
                sql.extend(ownership_and_grants::changed(plan, key, before, after));
                return sql;
            }
            let mut sql: Vec<Sql> = plan
                .shell_types_before(key)
                .iter()
                .map(|of| Sql::fill("CREATE TYPE {}", &[&name(of)]))
                .collect();
            if plan.follows_parent(key) {
                sql.extend(index::validated(plan, key, after));
            } else if !is_implied {
                sql.extend(make(plan, key, after));
            }
            sql.extend(ownership_and_grants::new(plan, key, after));
            sql
        }
    }
}

/// Returns whether an object can be altered in place.
pub(in crate::diff) fn can_alter(plan: &Plan<'_>, key: &Key) -> bool {
    alter(plan, key).is_some()
}

/// Returns whether the type or collation of a column changes.
pub(in crate::diff) fn changes_type(plan: &Plan<'_>, key: &Key) -> bool {
    let (Some(before), Some(after)) = (plan.from.get(key), plan.to.get(key)) else {
        return false;
    };
    ["type", "collation"]
        .iter()
        .any(|fact| before.fact(fact) != after.fact(fact))
}

fn make(plan: &Plan<'_>, key: &Key, after: &Object) -> Vec<Sql> {
    match key.kind {
        Kind::Table
        | Kind::ForeignTable
        | Kind::Column
        | Kind::Default
        | Kind::Identity
        | Kind::NotNull
        | Kind::Partition
        | Kind::Constraint
        | Kind::Index
        | Kind::Statistics
        | Kind::Sequence
        | Kind::SequenceOwner => table::make(plan, key, after),
        Kind::View
        | Kind::MaterializedView
        | Kind::Rule
        | Kind::Trigger
        | Kind::Policy
        | Kind::RowSecurity => relation::make(plan, key, after),
        Kind::Type | Kind::DomainConstraint => types::make(plan, key, after),
        Kind::Function
        | Kind::Procedure
        | Kind::Aggregate
        | Kind::Operator
        | Kind::OperatorFamily
        | Kind::OperatorClass
        | Kind::Cast
        | Kind::Transform
        | Kind::Language
        | Kind::AccessMethod
        | Kind::Collation
        | Kind::Conversion
        | Kind::TextSearchParser
        | Kind::TextSearchTemplate
        | Kind::TextSearchDictionary
        | Kind::TextSearchConfiguration => routine::make(key, after),
        _ => global::make(key, after),
    }
}

fn alter(plan: &Plan<'_>, key: &Key) -> Option<Vec<Sql>> {
    let (before, after) = (plan.from.get(key)?, plan.to.get(key)?);
    let changed: Vec<&str> = changed_facts(before, after);
    if changed.is_empty() && !plan.retyped.contains(key) {
        return Some(Vec::new());
    }
    match key.kind {
        Kind::Table
        | Kind::ForeignTable
        | Kind::Column
        | Kind::Default
        | Kind::Identity
        | Kind::NotNull
        | Kind::Partition
        | Kind::Constraint
        | Kind::Index
        | Kind::Statistics
        | Kind::Sequence
        | Kind::SequenceOwner => table::alter(plan, key, &changed),
        Kind::View
        | Kind::MaterializedView
        | Kind::Rule
        | Kind::Trigger
        | Kind::Policy
        | Kind::RowSecurity => relation::alter(plan, key, &changed),
        Kind::Type | Kind::DomainConstraint => types::alter(plan, key, &changed),
        Kind::Function
        | Kind::Procedure
        | Kind::OperatorFamily
        | Kind::Operator
        | Kind::Collation
        | Kind::TextSearchConfiguration => routine::alter(key, before, after, &changed),
        Kind::Aggregate
        | Kind::OperatorClass
        | Kind::Cast
        | Kind::Transform
        | Kind::Language
        | Kind::AccessMethod
        | Kind::Conversion
        | Kind::TextSearchParser
        | Kind::TextSearchTemplate
        | Kind::TextSearchDictionary => None,
        _ => global::alter(plan, key, &changed),
    }
}

fn drop(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    match key.kind {
        Kind::Table | Kind::Type if plan.is_rebuilt(key) || plan.is_renamed_away(key) => {
            rebuild::rename_away(plan, key)
        }
        Kind::Column
        | Kind::Default
        | Kind::Identity
        | Kind::NotNull
        | Kind::Partition
        | Kind::Constraint
        | Kind::Index
        | Kind::SequenceOwner => table::drop(plan, key),
        Kind::Trigger | Kind::RowSecurity => relation::drop(plan, key),
        Kind::Type if types::is_base(plan, key) => {
            // The type and its functions depend on each other.
            vec![Sql::fill("DROP TYPE {} CASCADE", &[&name(key)])]
        }
        Kind::DomainConstraint => types::drop_constraint(key),
        Kind::Database
        | Kind::Parameter
        | Kind::SystemGrant
        | Kind::DefaultPrivileges
        | Kind::UserMapping
        | Kind::Subscription => global::drop(plan, key),
        _ => vec![Sql::fill("DROP {}", &[&with_kind(plan.from, key)])],
    }
}

/// Returns the names of the facts that differ.
fn changed_facts<'a>(before: &'a Object, after: &'a Object) -> Vec<&'a str> {
    let mut names: Vec<&str> = before
        .facts
        .iter()
        .filter(|(name, value)| after.fact(name) != Some(value))
        .map(|(name, _)| &**name)
        .chain(
            after
                .facts
                .iter()
                .filter(|(name, _)| !before.has(name))
                .map(|(name, _)| &**name),
        )
        .collect();
    names.sort_unstable();
    names
}

pub(super) fn is_alone(plan: &Plan<'_>, (phase, key): &Step) -> bool {
    match (phase, key.kind) {
        // A new enum value cannot be used in the transaction that adds it.
        (Phase::Make, Kind::Type) => {
            plan.altered.contains(key)
                && plan.to.get(key).is_some_and(|object| object.has("labels"))
        }
        (_, Kind::Subscription) => true,
        _ => false,
    }
}
