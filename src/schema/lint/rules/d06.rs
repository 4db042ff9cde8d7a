//! D06: a database or tablespace dropped or made by a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a database or tablespace dropped or made by a migration.
pub(crate) const RULE: Rule = Rule {
    code: "D06",
    name: "drop-database",
    severity: Severity::Error,
    required: true,
    why: "A migration belongs to one database; this acts on the whole server and cannot be taken back.",
    safe: "do it by hand, outside of migrations",
    versions: "all",
    bad: "DROP DATABASE app;",
    good: "DROP TABLE app;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let name = match scene.class() {
        Class::Drop(Object::Database | Object::Tablespace) => {
            let phrase = scene.phrase();
            phrase
                .name(phrase.skip(2, &["if", "exists"]))
                .map(|(name, _)| name)?
        }
        _ => return None,
    };
    Some(Hit::new(
        &name,
        format!("`{name}` is gone for the whole server, and no way back exists"),
    ))
}
