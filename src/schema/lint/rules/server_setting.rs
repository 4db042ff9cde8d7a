//! O16: a server or database setting changed by a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "O16",
    name: "server-setting",
    severity: Severity::Error,
    required: false,
    why: "The setting affects the whole server or all later sessions, is not part of the schema, and ALTER SYSTEM cannot be rolled back.",
    safe: "Set it in the server configuration, or use SET LOCAL for this migration only",
    versions: "all",
    bad: "ALTER SYSTEM SET work_mem = '1GB';",
    good: "SET LOCAL work_mem = '1GB';",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    match context.class() {
        Class::AlterSystem => Some(Hit::new(
            phrase.at(3),
            format!("Changes `{}` for all databases of the server", phrase.at(3)),
        )),
        Class::Alter(Object::Database) if phrase.has(&["set"]) || phrase.has(&["reset"]) => {
            let (name, _) = phrase.name(2)?;
            Some(Hit::new(
                &name,
                format!(
                    "Changes a setting for all later sessions of database `{name}`; it is not part of the schema"
                ),
            ))
        }
        _ => None,
    }
}
