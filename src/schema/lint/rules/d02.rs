//! D02: a column dropped.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column dropped.
pub(crate) const RULE: Rule = Rule {
    code: "D02",
    name: "drop-column",
    severity: Severity::Warn,
    required: false,
    why: "Its values are gone, running code that names it fails at once, and indexes and constraints on it go with it.",
    safe: "release code that no longer uses it first, and keep a backup; then drop",
    versions: "all",
    bad: "ALTER TABLE orders DROP COLUMN note;",
    good: "ALTER TABLE orders ALTER COLUMN note DROP NOT NULL;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::DropColumn(column) = &action.does else {
        return None;
    };
    let table = &action.table;
    scene.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("every value of `{column}` is lost, and running code that names it fails"),
        )
    })
}
