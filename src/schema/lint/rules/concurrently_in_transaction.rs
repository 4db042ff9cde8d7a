//! I04: a CONCURRENTLY statement in a migration that runs in a transaction.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "I04",
    name: "concurrently-in-transaction",
    severity: Severity::Error,
    required: false,
    why: "The statement commits internally, so PostgreSQL rejects it inside a transaction block.",
    safe: "Move it into a separate migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "CREATE INDEX CONCURRENTLY i ON t (a); -- without the directive",
    good: "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let concurrent = matches!(
        context.class(),
        Class::CreateIndex { .. }
            | Class::DropIndex { .. }
            | Class::Reindex { .. }
            | Class::Alter(Object::Table)
    );
    if !context.file.in_transaction || !concurrent {
        return None;
    }
    let reason = context.statement().statement.cannot_run_in_transaction()?;
    let verb = context.statement().statement.verb();
    Some(Hit::new(
        verb,
        format!("{reason} and cannot run inside a transaction block"),
    ))
}
