//! C15: a table without a primary key.

use crate::finding::Severity;
use crate::lint::known::{At, Known};
use crate::lint::rule::{Check, Hit, Rule};

/// Finds a table without a primary key.
pub(crate) const RULE: Rule = Rule {
    code: "C15",
    name: "table-without-primary-key",
    severity: Severity::Note,
    required: false,
    why: "Rows cannot be told apart: logical replication refuses updates and deletes, and a duplicate cannot be removed by name.",
    safe: "give it a primary key",
    versions: "all",
    bad: "CREATE TABLE logs (line text);",
    good: "CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text);",
    check: Check::Whole(check),
};

fn check(known: &Known) -> Vec<(At, Hit)> {
    known
        .tables
        .iter()
        .filter(|(_, table)| !table.primary && !table.inner)
        .map(|(name, table)| {
            (table.born, Hit::new(name, format!("rows of `{name}` cannot be told apart, and logical replication refuses to change them")))
        })
        .collect()
}
