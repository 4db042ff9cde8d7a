//! O12: autovacuum switched off for a table.

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds autovacuum switched off for a table.
pub(crate) const RULE: Rule = Rule {
    code: "O12",
    name: "autovacuum-off",
    severity: Severity::Warn,
    required: false,
    why: "Dead rows pile up and statistics grow old until someone remembers.",
    safe: "tune autovacuum_vacuum_scale_factor for the table instead",
    versions: "all",
    bad: "ALTER TABLE orders SET (autovacuum_enabled = false);",
    good: "ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0.01);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let (Class::Alter(Object::Table) | Class::Create(Object::Table)) = scene.class() else {
        return None;
    };
    let at = (0..phrase.len()).find(|at| {
        phrase.is(*at, "autovacuum_enabled")
            && phrase.at(at + 1) == "="
            && matches!(
                phrase
                    .at(at + 2)
                    .trim_matches('\'')
                    .to_ascii_lowercase()
                    .as_str(),
                "false" | "off" | "0" | "no"
            )
    })?;
    let name = alter::read(phrase)
        .map(|alter| alter.table)
        .or_else(|| known::created(phrase))?;
    Some(
        Hit::new(
            &name,
            format!("dead rows of `{name}` pile up until someone switches it on again"),
        )
        .start(phrase.from(at).start()),
    )
}
