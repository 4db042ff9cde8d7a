//! X03: row-level security without any policy.

use crate::finding::Severity;
use crate::lint::known::{At, Known};
use crate::lint::rule::{Check, Hit, Rule};

/// Finds row-level security without any policy.
pub(crate) const RULE: Rule = Rule {
    code: "X03",
    name: "row-security-without-policy",
    severity: Severity::Warn,
    required: false,
    why: "With no policy nobody but the owner and roles that bypass it sees or writes a single row.",
    safe: "CREATE POLICY for those who may, before ENABLE ROW LEVEL SECURITY",
    versions: "all",
    bad: "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    good: "CREATE POLICY tenant ON orders USING (true); ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    check: Check::Whole(check),
};

fn check(known: &Known) -> Vec<(At, Hit)> {
    known
        .tables
        .iter()
        .filter(|(_, table)| table.policies.is_empty())
        .filter_map(|(name, table)| {
            let at = table.secured?;
            Some((
                at,
                Hit::new(
                    name,
                    format!(
                        "`{name}` has row-level security and no policy, so nobody sees a row of it"
                    ),
                ),
            ))
        })
        .collect()
}
