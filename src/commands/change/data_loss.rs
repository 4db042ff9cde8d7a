//! Owns the names of what a plan destroys: what must be typed before it is lost, and whose rows may go.

use std::collections::BTreeSet;

use crate::plan::document::PlanDocument;
use crate::plan::observe::{RewriteKind, StepObservation};

/// Names what held rows before and is gone, or empty, afterwards.
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

/// Tells whose rows statements delete, or may; each table once, and not what is lost as a whole.
pub(crate) fn deleted(plan: &PlanDocument) -> Vec<String> {
    let observed = plan.steps.iter().filter_map(|step| step.observed.as_ref());
    let statements = observed.flat_map(|step| &step.statements);
    let rows = statements.flat_map(|statement| &statement.rows);
    let gone = rows.filter(|rows| rows.deletes && !plan.losses.contains(&rows.relation));
    let told = gone.map(|rows| match &rows.along {
        Some(along) => format!("{}, along with those of {}", rows.relation, along.with),
        None => rows.relation.clone(),
    });
    let told: BTreeSet<String> = told.collect();
    told.into_iter().collect()
}
