//! C20: a change to publications or replica identity.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::{Phrase, QualifiedName};

pub(crate) const RULE: Rule = Rule {
    code: "C20",
    name: "replication-changed",
    severity: Severity::Warn,
    required: false,
    why: "Subscribers stop receiving rows without an error, or updates and deletes on a published table fail.",
    safe: "Add a primary key before a table is published; inform the subscribers before a table is removed",
    versions: "all",
    bad: "ALTER TABLE orders REPLICA IDENTITY NOTHING;",
    good: "ALTER TABLE orders REPLICA IDENTITY FULL;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    match context.class() {
        Class::Alter(Object::Table) => {
            phrase.find(&["replica", "identity", "nothing"])?;
            let (table, _) =
                phrase.name(phrase.skip(phrase.skip(2, &["if", "exists"]), &["only"]))?;
            let message = format!("If `{table}` is published, updates and deletes on it fail");
            context
                .exists_before(&table)
                .then(|| Hit::new(&table, message))
        }
        Class::Drop(Object::Publication) => {
            let (name, _) = phrase.name(phrase.skip(2, &["if", "exists"]))?;
            leaves(context, &name)
        }
        Class::Alter(Object::Publication) if phrase.is(3, "drop") || phrase.is(3, "set") => {
            let (name, after) = phrase.name(2)?;
            // SET (publish = …) leaves the tables alone.
            let tables = phrase.is(after + 1, "table") || phrase.is(after + 1, "tables");
            leaves(context, &name).filter(|_| tables)
        }
        Class::Alter(Object::Publication) if phrase.is(3, "add") => enters(context, phrase),
        Class::Create(Object::Publication) if phrase.has(&["for"]) => enters(context, phrase),
        _ => None,
    }
}

fn leaves(context: &StatementContext<'_>, name: &QualifiedName) -> Option<Hit> {
    let message =
        format!("Subscribers of `{name}` stop receiving rows of removed tables, without an error");
    context.exists_before(name).then(|| Hit::new(name, message))
}

/// Reports published tables that no file has created with a primary key.
fn enters(context: &StatementContext<'_>, phrase: Phrase<'_>) -> Option<Hit> {
    let (name, _) = phrase.name(2)?;
    if let Some(at) = phrase.find(&["table"]) {
        let tables = phrase.from(at + 1).list();
        let table = tables
            .iter()
            .filter_map(|part| part.name(part.skip(0, &["only"])))
            .map(|(table, _)| table)
            .find(|table| {
                !context
                    .declared
                    .tables
                    .get(table)
                    .is_some_and(|it| it.primary)
            })?;
        let message = format!("Updates and deletes on `{table}` fail if it has no primary key");
        return Some(Hit::new(&table, message));
    }
    let message = "Updates and deletes fail on published tables without a primary key";
    Some(Hit::new(&name, message))
}
