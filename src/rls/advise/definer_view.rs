//! Views that run as their owner and so bypass policies of the tables they read.

use crate::advise::{AdviceContext, list};
use crate::catalog::{Key, Kind};
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (view, object) in context.catalog.of_kind(Kind::View) {
        let invoker = object.list("options").iter().any(|option| {
            matches!(
                &**option,
                "security_invoker=true" | "security_invoker=on" | "security_invoker=1"
            )
        });
        let holders = context.holders(view, "rawd");
        if invoker || holders.is_empty() {
            continue;
        }
        let owner = object.owner.as_deref().unwrap_or_default();
        let unprotected = |key: &Key| {
            let rows = context.rights.tables.get(key);
            rows.is_some_and(|rows| {
                let owns = context
                    .catalog
                    .get(key)
                    .and_then(|table| table.owner.as_deref())
                    == Some(owner);
                rows.enabled && (context.roles.is_exempt(owner) || owns && !rows.forced)
            })
        };
        if context.needs(view, &unprotected) {
            let subject = view.qualified();
            let message = format!(
                "The view runs as its owner {owner}, who bypasses row-level security; {} can read rows of every tenant",
                list(&holders)
            );
            let help = format!("ALTER VIEW {subject} SET (security_invoker = true)");
            findings.push(Finding::error("rls-definer-view", subject, message).help(help));
        }
    }
    findings
}
