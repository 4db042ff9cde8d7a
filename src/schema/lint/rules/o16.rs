//! O16: a setting of the whole server or database changed.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a setting of the whole server or database changed.
pub(crate) const RULE: Rule = Rule {
    code: "O16",
    name: "server-setting",
    severity: Severity::Error,
    required: false,
    why: "It holds for every database or session there is, cannot be rolled back, and is not part of the schema.",
    safe: "set it where the server is configured, or SET LOCAL for this migration alone",
    versions: "all",
    bad: "ALTER SYSTEM SET work_mem = '1GB';",
    good: "SET LOCAL work_mem = '1GB';",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    match scene.class() {
        Class::AlterSystem => Some(Hit::new(
            phrase.at(3),
            format!(
                "`{}` changes for every database of the server",
                phrase.at(3)
            ),
        )),
        Class::Alter(Object::Database) if phrase.has(&["set"]) || phrase.has(&["reset"]) => {
            let (name, _) = phrase.name(2)?;
            Some(Hit::new(
                &name,
                format!(
                    "the setting holds for every later session of `{name}`, and is not part of the schema"
                ),
            ))
        }
        _ => None,
    }
}
