//! X03: row-level security enabled without a policy.

use crate::finding::Severity;
use crate::lint::declared_so_far::{DeclaredSoFar, StatementId};
use crate::lint::rule::{Check, Hit, Rule};

pub(crate) const RULE: Rule = Rule {
    code: "X03",
    name: "row-security-without-policy",
    severity: Severity::Warn,
    required: false,
    why: "Without a policy, only the owner and roles with BYPASSRLS can read or write rows.",
    safe: "CREATE POLICY for the roles that need access before ENABLE ROW LEVEL SECURITY",
    versions: "all",
    bad: "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    good: "CREATE POLICY tenant ON orders USING (true); ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    check: Check::AllFiles(check),
};

fn check(declared: &DeclaredSoFar) -> Vec<(StatementId, Hit)> {
    declared
        .tables
        .iter()
        .filter(|(_, table)| table.policies.is_empty())
        .filter_map(|(name, table)| {
            let at = table.rls_enabled?;
            Some((
                at,
                Hit::new(
                    name,
                    format!("RLS is enabled on `{name}` without a policy, so no rows are visible"),
                ),
            ))
        })
        .collect()
}
