//! T08: an explicit LOCK TABLE.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds an explicit LOCK TABLE.
pub(crate) const RULE: Rule = Rule {
    code: "T08",
    name: "lock-table",
    severity: Severity::Warn,
    required: false,
    why: "Without a mode it locks out even readers, and keeps the lock until the migration ends.",
    safe: "leave it to the statements themselves, or name the weakest mode that does, with NOWAIT",
    versions: "all",
    bad: "LOCK TABLE orders;",
    good: "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let strong = !phrase.has(&["mode"]) || phrase.has(&["access", "exclusive"]);
    let (table, _) = phrase.name(phrase.skip(phrase.skip(1, &["table"]), &["only"]))?;
    (scene.class() == Class::Lock && strong && scene.exists_before(&table)).then(|| {
        Hit::new(
            &table,
            format!("nobody can read `{table}` until the migration ends"),
        )
    })
}
