//! T29: a migration that terminates other sessions.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "T29",
    name: "ends-sessions",
    severity: Severity::Warn,
    required: false,
    why: "Transactions of whichever sessions match in production are aborted. A shadow database has no such sessions, so the effect cannot be tested.",
    safe: "Remove it; af-db retries and reports the blocking sessions, so that an operator can decide",
    versions: "all",
    bad: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app';",
    good: "SELECT pid FROM pg_stat_activity WHERE datname = 'app';",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let called = |name: &&&str| match context.class() {
        // The body of a DO block is a string to the server.
        Class::Do => context
            .statement()
            .statement
            .text
            .to_ascii_lowercase()
            .contains(*name),
        _ => (0..phrase.len()).any(|at| phrase.is(at, name) && phrase.inside(at + 1).is_some()),
    };
    let name = ["pg_terminate_backend", "pg_cancel_backend"]
        .iter()
        .find(called)?;
    Some(Hit::new(
        name,
        format!("`{name}` aborts the work of other sessions"),
    ))
}
