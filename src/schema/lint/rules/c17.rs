//! C17: an extension updated or dropped.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds an extension updated or dropped.
pub(crate) const RULE: Rule = Rule {
    code: "C17",
    name: "change-extension",
    severity: Severity::Warn,
    required: false,
    why: "Its functions and types change, or are gone, for everything that uses them; the update script is not in these files.",
    safe: "name the version with UPDATE TO, try it on a copy, and read what its script does",
    versions: "all",
    bad: "ALTER EXTENSION postgis UPDATE;",
    good: "CREATE EXTENSION IF NOT EXISTS pg_trgm;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let (at, message) = match scene.class() {
        Class::Alter(Object::Extension) if phrase.has(&["update"]) => {
            if phrase.has(&["update", "to"]) {
                return None;
            }
            (
                2,
                "becomes whatever version the server has, which differs from server to server",
            )
        }
        Class::Drop(Object::Extension) => (
            phrase.skip(2, &["if", "exists"]),
            "takes its functions and types along, from everything that uses them",
        ),
        _ => return None,
    };
    let (name, _) = phrase.name(at)?;
    Some(Hit::new(&name, format!("`{name}` {message}")))
}
