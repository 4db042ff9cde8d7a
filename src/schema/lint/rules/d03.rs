//! D03: a schema, an extension or everything of an owner dropped with all it holds.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a schema, an extension or everything of an owner dropped with all it holds.
pub(crate) const RULE: Rule = Rule {
    code: "D03",
    name: "drop-schema",
    severity: Severity::Error,
    required: false,
    why: "CASCADE drops whatever is inside or depends on it, seen or not.",
    safe: "drop each object by name, so that a reader sees what is lost",
    versions: "all",
    bad: "DROP SCHEMA app CASCADE;",
    good: "DROP SCHEMA app;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let class = scene.class();
    let wide = class == Class::DropOwned
        || matches!(class, Class::Drop(Object::Schema | Object::Extension))
            && phrase.has(&["cascade"]);
    if !wide {
        return None;
    }
    let at = phrase.skip(2, &["if", "exists"]);
    let at = phrase.skip(at, &["by"]);
    let (name, _) = phrase.name(at)?;
    scene.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!(
                "everything in or of `{name}` is dropped, and whatever depends on it, seen or not"
            ),
        )
    })
}
