//! Row-level security off where a request reaches the table, off beside policies, on without any.

use crate::advise::{AdviceContext, list};
use crate::catalog::Kind;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in &context.rights.tables {
        let subject = table.qualified();
        let enable = format!("ALTER TABLE {subject} ENABLE ROW LEVEL SECURITY");
        let holders = context.holders(table, "rawd");
        if !rows.enabled && !rows.policies.is_empty() {
            let message =
                "The table has policies but row-level security is disabled: no policy is applied";
            findings.push(Finding::error("rls-policies-off", subject, message).help(enable));
        } else if !rows.enabled && !holders.is_empty() && context.is_tenant(table) {
            let message = format!(
                "The table has tenant rows but no row-level security, and {} can access all of them",
                list(&holders)
            );
            findings.push(Finding::error("rls-off", subject, message).help(enable));
        } else if rows.enabled
            && rows.policies.is_empty()
            && !holders.is_empty()
            && context
                .catalog
                .get(table)
                .is_some_and(|object| !object.has("partition"))
        {
            let message = format!(
                "The table has no policy: {} can query the table but never sees a row",
                list(&holders)
            );
            let help = format!(
                "CREATE POLICY … ON {subject} …, or REVOKE ALL ON {subject} FROM {}",
                context.revoked(&holders)
            );
            findings.push(Finding::note("rls-no-policy", subject, message).help(help));
        }
    }
    // Foreign tables know no policies at all.
    for (table, _) in context.catalog.of_kind(Kind::ForeignTable) {
        let holders = context.holders(table, "rawd");
        if !holders.is_empty() {
            let subject = table.qualified();
            let message = format!(
                "Foreign tables cannot have policies, and {} can access the table",
                list(&holders)
            );
            let help = format!(
                "REVOKE ALL ON {subject} FROM PUBLIC, {}",
                context.revoked(&context.requests)
            );
            findings.push(Finding::warn("rls-foreign-table", subject, message).help(help));
        }
    }
    findings
}
