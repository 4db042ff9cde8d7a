//! Default privileges that grant access to future tables before they have a policy.

use crate::advise::{AdviceContext, list};
use crate::catalog::Kind;
use crate::finding::Finding;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, _) in context
        .catalog
        .of_kind(Kind::DefaultPrivileges)
        .filter(|(key, _)| &*key.part == "TABLES")
    {
        let holders = context.holders(key, "rawdD");
        if holders.is_empty() {
            continue;
        }
        let place = if key.schema.is_empty() {
            String::new()
        } else {
            format!(" IN SCHEMA {}", crate::sql::name::Ident::new(&*key.schema))
        };
        let message = format!(
            "Default privileges: new tables of {} are open to {} until row-level security is enabled",
            key.name,
            list(&holders)
        );
        let help = format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {}{place} REVOKE ALL ON TABLES FROM {}",
            crate::sql::name::Ident::new(&*key.name),
            context.revoked(&holders),
        );
        findings.push(Finding::warn("rls-default-privileges", key.subject(), message).help(help));
    }
    findings
}
