//! Materialized views: copies on which no policy holds.

use crate::advise::{AdviceContext, list};
use crate::catalog::{Key, Kind};
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (view, _) in context.catalog.of_kind(Kind::MaterializedView) {
        let holders = context.holders(view, "r");
        let protected = |key: &Key| {
            context
                .rights
                .tables
                .get(key)
                .is_some_and(|rows| rows.enabled)
        };
        if !holders.is_empty() && context.needs(view, &protected) {
            let subject = view.qualified();
            let message = format!(
                "The materialized view copies protected rows, policies do not apply to it, and {} can read it",
                list(&holders)
            );
            let help = format!(
                "REVOKE SELECT ON {subject} FROM PUBLIC, {}",
                context.revoked(&context.requests)
            );
            findings.push(Finding::error("rls-materialized-view", subject, message).help(help));
        }
    }
    findings
}
