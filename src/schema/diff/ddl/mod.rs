//! Writes the statements that lead from one catalog to another: one file for each family of kinds, one place for what all
//! kinds share (owner, comment, privileges, labels).

mod column;
mod dress;
mod global;
mod index;
mod online;
mod options;
mod phrase;
mod rebuild;
mod relation;
mod routine;
mod setting;
mod table;
mod types;

use std::collections::BTreeSet;

use self::online::Staged;
use crate::catalog::{Catalog, Key, Kind, Object};
use crate::diff::plan::{Phase, Plan, Step};
use crate::sql::safe::Sql;

/// What a caller may decide about the statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rebuild a table, rows and all, when its columns would end in another order.
    pub column_order: bool,
    /// Use the forms that do not hold up writers: indexes `CONCURRENTLY` and keys by way of them, constraints `NOT VALID`
    /// and then validated.
    pub online: bool,
}

/// One statement, with what a runner must know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What to run.
    pub sql: Sql,
    /// The object it is about.
    pub about: Key,
    /// Whether it must run outside a transaction, or be committed before anything after it.
    pub alone: bool,
    /// What is lost for good, in words such as `the rows of public.orders`.
    pub destroys: Option<String>,
}

/// Gives the statements that turn a database that is as `from` says into one that is as `to` says, in order.
///
/// What is alone stands together where the order allows it, so that few transactions are needed.
pub fn statements(from: &Catalog, to: &Catalog, options: &Options) -> Vec<Statement> {
    let plan = Plan::decide(from, to, options);
    let (steps, before) = plan.steps();
    let online = options
        .online
        .then(|| online::staged(&plan, &steps, &before))
        .flatten();
    let staged = online.unwrap_or_else(|| plainly(&plan, &steps));
    let mut statements = Vec::with_capacity(staged.len());
    let mut lost = BTreeSet::new();
    let mut unchecked = None;
    for Staged { step, stage, sql } in staged {
        let (_, key) = &steps[step];
        let alone = stage % 2 == 1;
        if matches!(key.kind, Kind::Function | Kind::Procedure) && unchecked != Some(stage) {
            // A body may name what is made after it; the server takes it at its word.
            unchecked = Some(stage);
            statements.push(Statement {
                sql: Sql::new("SET check_function_bodies = off"),
                about: key.clone(),
                alone,
                destroys: None,
            });
        }
        // It is shown as a comment, and a name may hold the end of one.
        let destroys = lost.insert(step).then(|| destroyed(&plan, &steps[step]));
        statements.push(Statement {
            sql,
            about: key.clone(),
            alone,
            destroys: destroys
                .flatten()
                .map(|what| what.replace(['\n', '\r'], " ")),
        });
    }
    statements
}

/// Gives the statements of all steps one after another; a stage ends where a statement must run alone.
fn plainly(plan: &Plan<'_>, steps: &[Step]) -> Vec<Staged> {
    let mut stage = 0;
    let mut staged = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let alone = is_alone(plan, step);
        for sql in written(plan, step) {
            stage += usize::from(alone != (stage % 2 == 1));
            staged.push(Staged {
                step: index,
                stage,
                sql,
            });
        }
    }
    staged
}

/// Gives the statements of one step; none where another step does its work.
fn written(plan: &Plan<'_>, step: &Step) -> Vec<Sql> {
    let (phase, key) = step;
    let stood_for = plan.stands_for(step).is_some();
    match phase {
        Phase::Drop if stood_for => Vec::new(),
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
                sql.extend(dress::changed(plan, key, before, after));
                return sql;
            }
            let mut sql: Vec<Sql> = plan
                .shells_before(key)
                .iter()
                .map(|of| Sql::fill("CREATE TYPE {}", &[&name(of)]))
                .collect();
            if plan.is_echo(key) {
                sql.extend(index::validated(plan, key, after));
            } else if !stood_for {
                sql.extend(make(plan, key, after));
            }
            sql.extend(dress::new(plan, key, after));
            sql
        }
    }
}

/// Says whether an object can become what it should be without being made again.
pub(super) fn can_alter(plan: &Plan<'_>, key: &Key) -> bool {
    alter(plan, key).is_some()
}

/// Says whether the type of a column is among what changes.
pub(super) fn changes_type(plan: &Plan<'_>, key: &Key) -> bool {
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
        Kind::Table | Kind::Type if plan.is_rebuilt(key) || plan.is_set_aside(key) => {
            rebuild::set_aside(plan, key)
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
        Kind::Type if is_base(plan, key) => {
            // Its functions need it as it needs them.
            vec![Sql::fill("DROP TYPE {} CASCADE", &[&name(key)])]
        }
        Kind::DomainConstraint => types::drop_constraint(key),
        Kind::Database
        | Kind::Parameter
        | Kind::SystemGrant
        | Kind::DefaultPrivileges
        | Kind::UserMapping
        | Kind::Subscription => global::drop(plan, key),
        _ => vec![Sql::fill("DROP {}", &[&phrase::of(plan.from, key)])],
    }
}

fn is_base(plan: &Plan<'_>, key: &Key) -> bool {
    let object = plan.from.get(key);
    object.is_some_and(|object| object.text("type") == Some("base"))
}

/// Gives the names of the facts that are not the same.
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

fn is_alone(plan: &Plan<'_>, (phase, key): &Step) -> bool {
    match (phase, key.kind) {
        // A new value may not be used in the transaction that added it.
        (Phase::Make, Kind::Type) => {
            plan.altered.contains(key)
                && plan.to.get(key).is_some_and(|object| object.has("labels"))
        }
        (_, Kind::Subscription) => true,
        _ => false,
    }
}

fn destroyed(plan: &Plan<'_>, step: &Step) -> Option<String> {
    let (phase, key) = step;
    if *phase != Phase::Drop || plan.made.contains(key) && key.kind != Kind::Column {
        return None;
    }
    match key.kind {
        Kind::Table => Some(format!("the rows of {}", key.qualified())),
        Kind::MaterializedView => None,
        Kind::Column => {
            let parent = plan.from.parent(key)?;
            (parent.kind == Kind::Table && !plan.dropped.contains(&parent))
                .then(|| format!("the values of {}", key.subject()))
        }
        Kind::Sequence => Some(format!("the position of {}", key.qualified())),
        Kind::Schema | Kind::Extension => Some(format!("what {key} holds")),
        _ => None,
    }
}

/// Vouches for text the server printed.
fn raw(text: &str) -> Sql {
    Sql::printed_by_server(text)
}

/// Gives the qualified name of an object.
fn name(key: &Key) -> Sql {
    raw(&key.qualified())
}

/// Gives a fact's text, empty where absent.
fn text(object: &Object, fact: &str) -> Sql {
    raw(object.text(fact).unwrap_or_default())
}
