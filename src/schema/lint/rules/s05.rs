//! S05: a column added with a CHECK of its own.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column added with a CHECK of its own.
pub(crate) const RULE: Rule = Rule {
    code: "S05",
    name: "add-column-check",
    severity: Severity::Warn,
    required: false,
    why: "Every row is read while nobody can use the table, even though the column is empty everywhere.",
    safe: "add the column first, then the check as a constraint NOT VALID, and validate it in the next migration",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN qty int CHECK (qty > 0);",
    good: "ALTER TABLE orders ADD COLUMN qty int;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let table = &action.table;
    (column.has_check() && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{}", column.name()),
            format!(
                "the check of the new column reads every row of `{table}` while nobody can use it"
            ),
        )
    })
}
