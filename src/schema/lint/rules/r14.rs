//! R14: a table switched to another access method.

use crate::finding::Severity;
use crate::lint::alter::Action;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a table switched to another access method.
pub(crate) const RULE: Rule = Rule {
    code: "R14",
    name: "set-access-method",
    severity: Severity::Warn,
    required: false,
    why: "The table and all its indexes are rewritten while nobody can use it.",
    safe: "make a new table with the access method, fill it in batches, swap the names",
    versions: "15 and later",
    bad: "ALTER TABLE orders SET ACCESS METHOD columnar;",
    good: "CREATE TABLE logs (a int) USING columnar;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let table = &action.table;
    (action.phrase.begins(&["set", "access", "method"]) && scene.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!("`{table}` is rewritten while nobody can use it"),
        )
    })
}
