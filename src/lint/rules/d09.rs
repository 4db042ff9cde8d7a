//! D09: a sequence set back.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a sequence set back.
pub(crate) const RULE: Rule = Rule {
    code: "D09",
    name: "restart-sequence",
    severity: Severity::Warn,
    required: false,
    why: "Numbers that are in use are given out again: inserts fail on the primary key, or rows get mixed up where nothing checks.",
    safe: "set it from the data: SELECT setval('s', (SELECT max(id) FROM t))",
    versions: "all",
    bad: "ALTER SEQUENCE orders_id_seq RESTART WITH 1;",
    good: "SELECT setval('orders_id_seq', (SELECT max(id) FROM orders));",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let (name, _) = phrase.name(phrase.skip(2, &["if", "exists"]))?;
    (scene.class() == Class::Alter(Object::Sequence)
        && phrase.has(&["restart"])
        && scene.exists_before(&name))
    .then(|| {
        Hit::new(
            &name,
            format!("`{name}` may give out numbers that are in use"),
        )
    })
}
