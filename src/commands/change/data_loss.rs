//! The data that a plan destroys: what must be confirmed by name, and the tables whose rows may be deleted.

use std::collections::BTreeSet;

use crate::plan::document::PlanDocument;
use crate::plan::observe::{RewriteKind, StepObservation};

/// Names the objects that had rows before and are dropped or empty afterwards.
pub(crate) fn losses(observed: &[StepObservation]) -> Vec<String> {
    let mut losses = BTreeSet::new();
    for statement in observed.iter().flat_map(|step| &step.statements) {
        let gone = statement.dropped.iter().filter(|gone| gone.loses.is_some());
        losses.extend(gone.map(|gone| gone.name.clone()));
        let emptied = statement
            .rewrites
            .iter()
            .filter(|rewrite| rewrite.how == RewriteKind::Truncated);
        losses.extend(emptied.map(|rewrite| rewrite.relation.clone()));
        let deleted = statement.rows.iter().filter(|rows| rows.all);
        losses.extend(deleted.map(|rows| rows.relation.clone()));
    }
    losses.into_iter().collect()
}

/// The tables whose rows statements delete or may delete, each once, without those that are lost as a whole.
pub(crate) fn deleted(plan: &PlanDocument) -> Vec<String> {
    let observed = plan.steps.iter().filter_map(|step| step.observed.as_ref());
    let statements = observed.flat_map(|step| &step.statements);
    let rows = statements.flat_map(|statement| &statement.rows);
    let gone = rows.filter(|rows| rows.deletes && !plan.losses.contains(&rows.relation));
    let tables = gone.map(|rows| match &rows.along {
        Some(along) => format!("{}, together with rows of {}", rows.relation, along.with),
        None => rows.relation.clone(),
    });
    let tables: BTreeSet<String> = tables.collect();
    tables.into_iter().collect()
}
