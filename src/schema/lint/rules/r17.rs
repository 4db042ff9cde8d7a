//! R17: the expression of a generated column changed.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds the expression of a generated column changed.
pub(crate) const RULE: Rule = Rule {
    code: "R17",
    name: "set-expression",
    severity: Severity::Warn,
    required: false,
    why: "Every row is computed and written anew while nobody can use the table.",
    safe: "add a new column, fill it in batches, swap the names",
    versions: "17 and later",
    bad: "ALTER TABLE orders ALTER COLUMN total SET EXPRESSION AS (qty * 2);",
    good: "ALTER TABLE orders ADD COLUMN total2 int;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AlterColumn(column, rest) = &action.does else {
        return None;
    };
    let table = &action.table;
    (rest.begins(&["set", "expression"]) && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("`{table}` is rewritten while nobody can use it"),
        )
    })
}
