//! X04: a table without row-level security in a project that uses it.

use crate::finding::Severity;
use crate::lint::known::{At, Known};
use crate::lint::rule::{Check, Hit, Rule};

/// Finds a table without row-level security in a project that uses it.
pub(crate) const RULE: Rule = Rule {
    code: "X04",
    name: "table-without-row-security",
    severity: Severity::Warn,
    required: false,
    why: "Every role with a grant reads and writes every row of it; through a Supabase API that is anyone.",
    safe: "ALTER TABLE … ENABLE ROW LEVEL SECURITY, with policies for those who may",
    versions: "all",
    bad: "CREATE TABLE notes (id int); -- other tables have policies",
    good: "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;",
    check: Check::Whole(check),
};

fn check(known: &Known) -> Vec<(At, Hit)> {
    if !known.rows_secured {
        return Vec::new();
    }
    known
        .tables
        .iter()
        .filter(|(name, table)| table.secured.is_none() && !table.inner && name.schema.is_empty())
        .map(|(name, table)| {
            let hit = Hit::new(name, format!("`{name}` has no row-level security, unlike other tables here: a grant on it opens every row"));
            (table.born, hit.help(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, with policies for those who may")))
        })
        .collect()
}
