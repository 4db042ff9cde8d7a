//! T18: a session setting that outlives the migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;
use crate::sql::phrase::Phrase;
use crate::sql::redact;

pub(crate) const RULE: Rule = Rule {
    code: "T18",
    name: "setting-leaks",
    severity: Severity::Warn,
    required: false,
    why: "SET without LOCAL stays in the session: the next migration runs with it, and through a pooler so do other clients.",
    safe: "Use SET LOCAL, or set_config(…, true)",
    versions: "all",
    bad: "SET search_path = app;",
    good: "SET LOCAL search_path = app;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if !context.file.in_transaction {
        return None;
    }
    let phrase = context.phrase();
    match context.class() {
        Class::Set { local: false } => {
            let at = phrase.skip(1, &["session"]);
            let name = phrase.until(at, &["to"]);
            let name = name.text().split('=').next().unwrap_or_default().trim();
            let rest = phrase.from(phrase.skip(1, &["session"])).text();
            Some(
                Hit::new(
                    name,
                    format!("`{name}` stays set for the rest of the session"),
                )
                .help(redact::statement(&format!("SET LOCAL {rest}"))),
            )
        }
        Class::Select if leaks(phrase) => Some(
            Hit::new(
                "set_config",
                "set_config(…, false) stays set for the rest of the session",
            )
            .help("set_config(…, true)"),
        ),
        _ => None,
    }
}
/// Whether the statement calls `set_config(…, false)`.
fn leaks(phrase: Phrase<'_>) -> bool {
    (0..phrase.len())
        .filter(|at| phrase.is(*at, "set_config"))
        .filter_map(|at| phrase.inside(at + 1))
        .any(|(arguments, _)| {
            arguments
                .list()
                .last()
                .is_some_and(|last| last.is(0, "false"))
        })
}
