//! T03: several existing tables locked in one transaction.

use crate::finding::Severity;
use crate::lint::file_facts::closes;
use crate::lint::parsed_statement::ParsedStatement;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::phrase::QualifiedName;

pub(crate) const RULE: Rule = Rule {
    code: "T03",
    name: "several-tables-locked",
    severity: Severity::Note,
    required: false,
    why: "The lock on the first table is held while the migration waits for the next one. This blocks the first table without need, and can deadlock with sessions that lock in another order.",
    safe: "Alter one table per migration",
    versions: "all",
    bad: "ALTER TABLE a ADD COLUMN x int; ALTER TABLE b ADD COLUMN x int;",
    good: "ALTER TABLE a ADD COLUMN x int; ALTER TABLE a ADD COLUMN y int;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let table = altered(context, context.statement())?;
    let [(_, first)] = context.file.facts.closed_before(context.index) else {
        return None;
    };
    // Reported once, at the second table.
    (context.file.in_transaction && *first != table).then(|| {
        Hit::new(
            &table,
            format!("`{first}` stays locked while the migration waits for the lock on `{table}`"),
        )
    })
}

/// Returns the existing table that an `ALTER TABLE` locks in ACCESS EXCLUSIVE mode.
pub(super) fn altered(
    context: &StatementContext<'_>,
    line: &ParsedStatement<'_>,
) -> Option<QualifiedName> {
    closes(line).filter(|table| context.exists_before(table))
}
