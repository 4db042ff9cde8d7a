//! Columns that speak of persons and secrets where no policy holds, and keys that lean on what the platform keeps for itself.

use crate::advise::{AdviceContext, list};
use crate::catalog::Kind;
use crate::finding::Finding;

/// Names, or parts between underscores, of columns with sensitive data.
const NAMES: [&str; 24] = [
    "password",
    "passwd",
    "secret",
    "token",
    "ssn",
    "iban",
    "cvv",
    "pin",
    "passport",
    "salary",
    "birthdate",
    "dob",
    "diagnosis",
    "phone",
    "email",
    "mfa",
    "otp",
    "salt",
    "credit",
    "card",
    "tax",
    "license",
    "fingerprint",
    "biometric",
];

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in context
        .rights
        .tables
        .iter()
        .filter(|(_, rows)| !rows.enabled)
    {
        let holders = context.holders(table, "r");
        let named: Vec<&str> = context
            .catalog
            .columns(table)
            .into_iter()
            .map(|(key, _)| &*key.part)
            .filter(|name| {
                name.to_lowercase()
                    .split('_')
                    .any(|part| NAMES.contains(&part))
            })
            .collect();
        // For tenant tables there is the finding `rls-off`.
        if holders.is_empty()
            || named.is_empty()
            || context.is_tenant(table)
            || !rows.policies.is_empty()
        {
            continue;
        }
        let subject = table.qualified();
        let message = format!(
            "Row-level security is disabled and {} can read {}",
            list(&holders),
            named.join(", ")
        );
        let help = format!(
            "ALTER TABLE {subject} ENABLE ROW LEVEL SECURITY with a policy for the permitted roles, or REVOKE SELECT ON {subject} FROM PUBLIC, {}",
            context.revoked(&context.requests)
        );
        findings.push(Finding::warn("rls-sensitive", subject, message).help(help));
    }
    for (key, object) in context.catalog.of_kind(Kind::Constraint) {
        let definition = object.text("definition").unwrap_or_default();
        let leans = definition
            .split_once("REFERENCES auth.")
            .is_some_and(|(_, rest)| rest.starts_with("users") && !rest.contains("(id)"));
        if leans {
            let message = "The foreign key references a column of auth.users that the platform may change: only `id` is guaranteed";
            let help = format!("let `{}` reference auth.users (id)", key.part);
            findings.push(Finding::warn("rls-auth-key", key.subject(), message).help(help));
        }
    }
    findings
}
