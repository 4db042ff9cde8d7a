//! D01: a table dropped.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a table dropped.
pub(crate) const RULE: Rule = Rule {
    code: "D01",
    name: "drop-table",
    severity: Severity::Warn,
    required: false,
    why: "Its rows are gone, and a way back restores the table but not the rows. Every query of it fails at once, and tables it refers to are locked.",
    safe: "rename it first and wait a release; back up, then drop",
    versions: "all",
    bad: "DROP TABLE orders;",
    good: "ALTER TABLE orders RENAME TO zz_drop_orders;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Drop(Object::Table) {
        return None;
    }
    let (name, start) = known::dropped(scene.phrase(), 2)
        .into_iter()
        .find(|(name, _)| scene.exists_before(name))?;
    Some(
        Hit::new(
            &name,
            format!("every row of `{name}` is lost, and no way back brings them back"),
        )
        .start(start),
    )
}
