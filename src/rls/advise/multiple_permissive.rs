//! Several permissive policies for one role and command: each is evaluated for each row.

use std::collections::BTreeMap;

use crate::advise::AdviceContext;
use crate::finding::Finding;
use crate::rights::Command;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in &context.rights.tables {
        let mut by_role: BTreeMap<(&str, Command), Vec<&str>> = BTreeMap::new();
        for policy in rows.policies.iter().filter(|policy| !policy.restrictive) {
            for role in &context.requests {
                let reached = context.roles.reach(role);
                if policy
                    .roles
                    .iter()
                    .any(|role| reached.contains(role.as_str()))
                {
                    for command in policy.command.each() {
                        by_role
                            .entry((role, command))
                            .or_default()
                            .push(&policy.name);
                    }
                }
            }
        }
        for ((role, command), names) in by_role.into_iter().filter(|(_, names)| names.len() > 1) {
            if !context
                .holders(table, &command.privilege().to_string())
                .iter()
                .any(|holder| holder == role || holder == "everybody")
            {
                continue;
            }
            let message = format!(
                "{role} has {} permissive policies for {}: {}; each is evaluated for each row",
                names.len(),
                command.word(),
                names.join(", ")
            );
            findings.push(
                Finding::note("rls-multiple-permissive", table.qualified(), message)
                    .help("combine their conditions with OR in one policy"),
            );
        }
    }
    findings
}
