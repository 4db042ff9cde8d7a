//! T10: a statement that cannot run in a transaction.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "T10",
    name: "not-in-transaction",
    severity: Severity::Error,
    required: false,
    why: "PostgreSQL rejects the statement inside a transaction block.",
    safe: "Move it into a separate migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "VACUUM orders; -- without the directive",
    good: "-- af-db: no-transaction\nVACUUM orders;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let elsewhere = matches!(
        context.class(),
        Class::CreateIndex { .. }
            | Class::DropIndex { .. }
            | Class::Reindex { concurrently: true }
            | Class::Alter(Object::Table)
    );
    if !context.file.in_transaction || elsewhere {
        return None;
    }
    let reason = context.statement().statement.cannot_run_in_transaction()?;
    let verb = context.statement().statement.verb();
    Some(Hit::new(
        verb,
        format!("{reason} and cannot run inside a transaction block"),
    ))
}
