//! Privileges that policies do not decide on.

use crate::advise::{AdviceContext, list};
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, _) in context
        .rights
        .tables
        .iter()
        .filter(|(table, _)| context.is_tenant(table))
    {
        let subject = table.qualified();
        for (letter, word, what) in [
            ("D", "TRUNCATE", "can remove the rows of every tenant"),
            (
                "t",
                "TRIGGER",
                "can run trigger code as any role that writes to the table",
            ),
        ] {
            let holders = context.holders(table, letter);
            if holders.is_empty() {
                continue;
            }
            let message = format!("{} {what}: policies do not apply to {word}", list(&holders));
            let help = format!(
                "REVOKE {word} ON {subject} FROM PUBLIC, {}",
                context.revoked(&context.requests)
            );
            findings.push(Finding::warn("rls-beyond-policies", &subject, message).help(help));
        }
    }
    findings
}
