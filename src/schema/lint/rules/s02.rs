//! S02: a CHECK added without NOT VALID.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a CHECK added without NOT VALID.
pub(crate) const RULE: Rule = Rule {
    code: "S02",
    name: "add-check",
    severity: Severity::Warn,
    required: false,
    why: "Every row is read while nobody can use the table.",
    safe: "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in the next migration, which blocks neither reads nor writes",
    versions: "all",
    bad: "ALTER TABLE orders ADD CONSTRAINT qty_positive CHECK (qty > 0);",
    good: "ALTER TABLE orders ADD CONSTRAINT qty_positive CHECK (qty > 0) NOT VALID;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    let scans = matches!(constraint.kind, Kind::Check | Kind::NotNull) && !constraint.not_valid;
    let enforced = !constraint.phrase.has(&["not", "enforced"]);
    (scans && enforced && scene.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!("the {} reads every row of `{table}` while nobody can use it", constraint.name_or_kind()),
        )
        .help(format!(
            "ALTER TABLE {table} {} NOT VALID; then, in the next migration, ALTER TABLE {table} VALIDATE CONSTRAINT {}",
            action.phrase.text(),
            constraint.name.as_deref().unwrap_or("…"),
        ))
    })
}
