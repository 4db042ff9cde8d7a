//! C03: a schema renamed, or something moved to another schema.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a schema renamed, or something moved to another schema.
pub(crate) const RULE: Rule = Rule {
    code: "C03",
    name: "move-schema",
    severity: Severity::Warn,
    required: false,
    why: "Code that runs while the migration does uses the old name, and fails at once.",
    safe: "leave a view under the old name, and drop it a release later",
    versions: "all",
    bad: "ALTER TABLE orders SET SCHEMA app;",
    good: "CREATE TABLE app.orders (id int);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let Class::Alter(object) = scene.class() else {
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
    ((renamed || moved) && scene.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("code that looks for `{name}` where it was fails the moment this commits"),
        )
    })
}
