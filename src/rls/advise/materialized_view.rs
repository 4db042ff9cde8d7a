//! Materialized views: copies on which no policy holds.

use crate::advise::{Ground, list};
use crate::catalog::{Key, Kind};
use crate::finding::Finding;

pub(super) fn check(ground: &Ground<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (view, _) in ground.catalog.of_kind(Kind::MaterializedView) {
        let holders = ground.holders(view, "r");
        let protected = |key: &Key| {
            ground
                .rights
                .tables
                .get(key)
                .is_some_and(|rows| rows.enabled)
        };
        if !holders.is_empty() && ground.needs(view, &protected) {
            let subject = view.qualified();
            let message = format!(
                "is a copy of what policies protect, without any, and {} may read it",
                list(&holders)
            );
            let help = format!(
                "REVOKE SELECT ON {subject} FROM PUBLIC, {}",
                ground.revoked(&ground.requests)
            );
            findings.push(Finding::error("rls-materialized-view", subject, message).help(help));
        }
    }
    findings
}
