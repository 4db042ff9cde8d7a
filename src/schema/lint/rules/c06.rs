//! C06: a constraint that refuses what running code may still write.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a constraint that refuses what running code may still write.
pub(crate) const RULE: Rule = Rule {
    code: "C06",
    name: "new-write-restriction",
    severity: Severity::Note,
    required: false,
    why: "NOT VALID spares the rows that are there, not the ones that running code writes the moment after.",
    safe: "release code that keeps to it first; then add it",
    versions: "all",
    bad: "ALTER TABLE orders ADD CHECK (amount > 0) NOT VALID;",
    good: "ALTER TABLE orders DROP CONSTRAINT amount_positive;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    let refuses = constraint.not_valid && !constraint.proves_not_null_only();
    (refuses && scene.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!(
                "the {} refuses what running code may still write to `{table}`, from this moment on",
                constraint.name_or_kind()
            ),
        )
    })
}
