//! X04: a table without row-level security in a project that uses it.

use crate::finding::Severity;
use crate::lint::declared_so_far::{DeclaredSoFar, StatementId};
use crate::lint::rule::{Check, Hit, Rule};

pub(crate) const RULE: Rule = Rule {
    code: "X04",
    name: "table-without-row-security",
    severity: Severity::Warn,
    required: false,
    why: "Each role with a grant can read and write all rows; through a Supabase API that includes anonymous users.",
    safe: "ALTER TABLE … ENABLE ROW LEVEL SECURITY, with policies for the roles that need access",
    versions: "all",
    bad: "CREATE TABLE notes (id int); -- other tables have policies",
    good: "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;",
    check: Check::AllFiles(check),
};

fn check(declared: &DeclaredSoFar) -> Vec<(StatementId, Hit)> {
    if !declared.uses_rls {
        return Vec::new();
    }
    declared
        .tables
        .iter()
        .filter(|(name, table)| table.rls_enabled.is_none() && !table.temporary_or_partition && name.schema.is_empty())
        .map(|(name, table)| {
            let hit = Hit::new(name, format!("RLS is not enabled on `{name}`, unlike other tables; any grant exposes all rows"));
            (table.created_by, hit.help(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, with policies for the roles that need access")))
        })
        .collect()
}
