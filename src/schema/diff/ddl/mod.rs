//! Writes the statements that migrate one catalog to another: one file for each family of kinds, and one for what all
//! kinds have (owner, comment, privileges, labels).

mod column;
mod global;
mod index;
mod names;
mod online;
mod options;
mod ownership_and_grants;
mod rebuild;
mod relation;
mod routine;
mod setting;
pub(super) mod step;
mod table;
mod types;

use std::collections::BTreeSet;

use self::online::Staged;
use self::step::{is_alone, step_statements};
use crate::catalog::{Catalog, Key, Kind};
use crate::diff::decide::decide;
use crate::diff::graph::ordered_steps;
pub use crate::diff::plan::Options;
use crate::diff::plan::{Phase, Plan, Step};
use crate::sql::safe::Sql;

/// One statement, with what is needed to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub sql: Sql,
    pub about: Key,
    /// Whether it must run outside a transaction, or be committed before the next statement.
    pub alone: bool,
    /// The data that is lost, such as `the rows of public.orders`.
    pub destroys: Option<String>,
}

/// Returns the statements that change a database from `from` to `to`, in order.
///
/// Statements outside a transaction are grouped where the order allows, so that few transactions are needed.
pub fn statements(from: &Catalog, to: &Catalog, options: &Options) -> Vec<Statement> {
    let plan = decide(from, to, options);
    let (steps, before) = ordered_steps(&plan);
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
            // A body may name objects that are created later.
            unchecked = Some(stage);
            statements.push(Statement {
                sql: Sql::new("SET check_function_bodies = off"),
                about: key.clone(),
                alone,
                destroys: None,
            });
        }
        // It is written as a comment, and a name may contain a line break.
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

/// Returns the statements of all steps in order; a stage ends at a statement that must run alone.
fn plainly(plan: &Plan<'_>, steps: &[Step]) -> Vec<Staged> {
    let mut stage = 0;
    let mut staged = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let alone = is_alone(plan, step);
        for sql in step_statements(plan, step) {
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
