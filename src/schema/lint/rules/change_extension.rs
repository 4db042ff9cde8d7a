//! C17: an extension updated or dropped.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "C17",
    name: "change-extension",
    severity: Severity::Warn,
    required: false,
    why: "The extension's functions and types change or disappear for everything that uses them; the update script is not in the migrations.",
    safe: "Name the version with UPDATE TO, test it on a copy, and review its update script",
    versions: "all",
    bad: "ALTER EXTENSION postgis UPDATE;",
    good: "CREATE EXTENSION IF NOT EXISTS pg_trgm;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let (at, message) = match context.class() {
        Class::Alter(Object::Extension) if phrase.has(&["update"]) => {
            if phrase.has(&["update", "to"]) {
                return None;
            }
            (
                2,
                "is updated to the server's default version, which differs between servers",
            )
        }
        Class::Drop(Object::Extension) => (
            phrase.skip(2, &["if", "exists"]),
            "is dropped with its functions and types",
        ),
        _ => return None,
    };
    let (name, _) = phrase.name(at)?;
    Some(Hit::new(&name, format!("Extension `{name}` {message}")))
}
