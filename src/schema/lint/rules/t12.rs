//! T12: several statements in a migration without a transaction.

use crate::finding::Severity;
use crate::lint::known::Known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::{Line, Script};
use crate::sql::class::Class;

/// Finds several statements in a migration without a transaction.
pub(crate) const RULE: Rule = Rule {
    code: "T12",
    name: "several-without-transaction",
    severity: Severity::Warn,
    required: false,
    why: "If one fails, those before it stay, and running the migration again starts with them.",
    safe: "one statement a file; what can run in a transaction goes into a migration of its own",
    versions: "all",
    bad: "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a); ALTER TABLE t ADD b int;",
    good: "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Script(check),
};

fn check(script: &Script<'_>, _known: &Known) -> Vec<(usize, Hit)> {
    if script.in_transaction {
        return Vec::new();
    }
    let changes = |line: &Line<'_>| {
        let prepares = line.class() == (Class::DropIndex { concurrently: true })
            && line.phrase().has(&["if", "exists"]);
        !prepares
            && !matches!(
                line.class(),
                Class::Set { .. } | Class::Reset | Class::Select
            )
    };
    let wrapped = script.lines.iter().any(|line| line.class() == Class::Begin);
    let mut statements = script
        .lines
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
                    "without a transaction, the statements before this one stay when it fails",
                ),
            )
        })
        .into_iter()
        .collect()
}
