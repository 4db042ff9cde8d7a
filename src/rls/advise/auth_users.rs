//! Views that show Supabase's table of users.

use crate::advise::{AdviceContext, list};
use crate::catalog::Kind;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in [Kind::View, Kind::MaterializedView] {
        for (view, object) in context.catalog.of_kind(kind) {
            let definition = object.text("definition").unwrap_or_default();
            let holders = context.holders(view, "r");
            if definition.contains("auth.users") && !holders.is_empty() {
                let subject = view.qualified();
                let message = format!("The view exposes auth.users to {}", list(&holders));
                let help = format!("REVOKE ALL ON {subject} FROM PUBLIC, anon, authenticated");
                findings.push(Finding::error("rls-auth-users", subject, message).help(help));
            }
        }
    }
    findings
}
