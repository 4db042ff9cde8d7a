//! D03: a schema or extension dropped with CASCADE, or DROP OWNED.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D03",
    name: "drop-schema",
    severity: Severity::Error,
    required: false,
    why: "CASCADE drops all objects inside and everything that depends on them, without naming them.",
    safe: "Drop each object by name, so that reviewers see what is lost",
    versions: "all",
    bad: "DROP SCHEMA app CASCADE;",
    good: "DROP SCHEMA app;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let class = context.class();
    let wide = class == Class::DropOwned
        || matches!(class, Class::Drop(Object::Schema | Object::Extension))
            && phrase.has(&["cascade"]);
    if !wide {
        return None;
    }
    let at = phrase.skip(2, &["if", "exists"]);
    let at = phrase.skip(at, &["by"]);
    let (name, _) = phrase.name(at)?;
    context.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("Drops all objects of `{name}` and everything that depends on them"),
        )
    })
}
