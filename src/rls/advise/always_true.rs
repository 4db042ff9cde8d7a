//! Permissive policies that admit every row of a tenant table.

use crate::access::RowAction;
use crate::advise::AdviceContext;
use crate::finding::Finding;
use crate::formula::Formula;
use crate::rights::PUBLIC;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in context
        .rights
        .tables
        .iter()
        .filter(|(table, _)| context.is_tenant(table))
    {
        for policy in rows.policies.iter().filter(|policy| !policy.restrictive) {
            let open = |way: &&RowAction| {
                way.condition(policy)
                    .is_some_and(|text| Formula::read(text) == Formula::True)
            };
            let of_request = policy
                .roles
                .iter()
                .any(|role| role == PUBLIC || context.requests.contains(role));
            let Some(way) = RowAction::ALL.iter().find(open).filter(|_| of_request) else {
                continue;
            };
            let guarded = rows
                .policies
                .iter()
                .any(|guard| guard.restrictive && way.condition(guard).is_some());
            if guarded
                || context
                    .holders(table, &way.command().privilege().to_string())
                    .is_empty()
            {
                continue;
            }
            let roles: Vec<&str> = policy.roles.iter().map(String::as_str).collect();
            let subject = table.qualified();
            let message = format!(
                "policy `{}` admits every row to {} for {}",
                policy.name,
                roles.join(", "),
                way.command().word()
            );
            let help = format!(
                "restrict the policy to the tenant's rows, or DROP POLICY {} ON {subject}",
                crate::sql::name::Ident::new(&*policy.name)
            );
            findings.push(Finding::warn("rls-always-true", subject, message).help(help));
        }
    }
    findings
}
