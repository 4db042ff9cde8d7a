//! C03: a schema renamed, or an object moved to another schema.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "C03",
    name: "move-schema",
    severity: Severity::Warn,
    required: false,
    why: "Code that is still running uses the old name and fails immediately.",
    safe: "Create a view with the old name, and drop it one release later",
    versions: "all",
    bad: "ALTER TABLE orders SET SCHEMA app;",
    good: "CREATE TABLE app.orders (id int);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let Class::Alter(object) = context.class() else {
        return None;
    };
    let renamed = object == Object::Schema && phrase.has(&["rename", "to"]);
    let moved = !matches!(object, Object::Extension | Object::Role | Object::Database)
        && phrase.has(&["set", "schema"]);
    let from = if phrase.is(1, "materialized") || phrase.is(1, "foreign") {
        3
    } else {
        2
    };
    let (name, _) = phrase.name(phrase.skip(from, &["if", "exists"]))?;
    ((renamed || moved) && context.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("Moving `{name}` breaks running code that uses the old schema name"),
        )
    })
}
