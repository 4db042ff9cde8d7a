//! A request that is, or becomes, the owner of a table whose policies do not hold for the owner.

use crate::advise::AdviceContext;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in &context.rights.tables {
        let owner = context
            .catalog
            .get(table)
            .and_then(|object| object.owner.as_deref());
        let Some(owner) = owner.filter(|_| rows.enabled && !rows.forced) else {
            continue;
        };
        let mut requests = context.requests.iter();
        if let Some(role) = requests.find(|role| context.roles.reach(role).contains(owner)) {
            let subject = table.qualified();
            let message = format!(
                "{role} has the privileges of the owner {owner}, and policies do not apply to the owner"
            );
            let help = format!("ALTER TABLE {subject} FORCE ROW LEVEL SECURITY");
            findings.push(Finding::error("rls-owner", subject, message).help(help));
        }
    }
    findings
}
