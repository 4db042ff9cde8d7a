//! C15: a table without a primary key.

use crate::finding::Severity;
use crate::lint::declared_so_far::{DeclaredSoFar, StatementId};
use crate::lint::rule::{Check, Hit, Rule};

pub(crate) const RULE: Rule = Rule {
    code: "C15",
    name: "table-without-primary-key",
    severity: Severity::Note,
    required: false,
    why: "Rows have no unique identifier: logical replication rejects updates and deletes, and a duplicate cannot be addressed.",
    safe: "Add a primary key",
    versions: "all",
    bad: "CREATE TABLE logs (line text);",
    good: "CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text);",
    check: Check::AllFiles(check),
};

fn check(declared: &DeclaredSoFar) -> Vec<(StatementId, Hit)> {
    declared
        .tables
        .iter()
        .filter(|(_, table)| !table.primary && !table.temporary_or_partition)
        .map(|(name, table)| {
            (table.created_by, Hit::new(name, format!("`{name}` has no primary key; logical replication rejects updates and deletes")))
        })
        .collect()
}
