//! T12: several statements in a migration without a transaction.

use crate::finding::Severity;
use crate::lint::declared_so_far::DeclaredSoFar;
use crate::lint::parsed_statement::ParsedStatement;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::LintFile;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "T12",
    name: "several-without-transaction",
    severity: Severity::Warn,
    required: false,
    why: "If one statement fails, the earlier ones remain applied, and the migration is partially applied.",
    safe: "Write one statement per file; move statements that can run in a transaction into a separate migration",
    versions: "all",
    bad: "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a); ALTER TABLE t ADD b int;",
    good: "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::File(check),
};

fn check(file: &LintFile<'_>, _declared: &DeclaredSoFar) -> Vec<(usize, Hit)> {
    if file.in_transaction {
        return Vec::new();
    }
    let changes = |line: &ParsedStatement<'_>| {
        let prepares = line.class() == (Class::DropIndex { concurrently: true })
            && line.phrase().has(&["if", "exists"]);
        !prepares
            && !matches!(
                line.class(),
                Class::Set { .. } | Class::Reset | Class::Select
            )
    };
    let wrapped = file
        .statements
        .iter()
        .any(|line| line.class() == Class::Begin);
    let mut statements = file
        .statements
        .iter()
        .enumerate()
        .filter(|(_, line)| changes(line));
    let (_, second) = (statements.next(), statements.next());
    second
        .filter(|_| !wrapped)
        .map(|(index, line)| {
            let verb = line.statement.verb();
            (
                index,
                Hit::new(
                    verb,
                    "Not transactional: if this statement fails, earlier statements remain applied",
                ),
            )
        })
        .into_iter()
        .collect()
}
