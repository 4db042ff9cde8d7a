//! D06: a database or tablespace dropped by a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D06",
    name: "drop-database",
    severity: Severity::Error,
    required: true,
    why: "A migration belongs to one database; this statement affects the whole server and cannot be rolled back.",
    safe: "Run it by hand, outside of migrations",
    versions: "all",
    bad: "DROP DATABASE app;",
    good: "DROP TABLE app;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let name = match context.class() {
        Class::Drop(Object::Database | Object::Tablespace) => {
            let phrase = context.phrase();
            phrase
                .name(phrase.skip(2, &["if", "exists"]))
                .map(|(name, _)| name)?
        }
        _ => return None,
    };
    Some(Hit::new(
        &name,
        format!("Drops `{name}` from the server; this cannot be rolled back"),
    ))
}
