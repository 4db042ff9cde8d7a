//! C05: a NOT NULL column added without a default.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a NOT NULL column added without a default.
pub(crate) const RULE: Rule = Rule {
    code: "C05",
    name: "add-required-column",
    severity: Severity::Error,
    required: false,
    why: "The statement fails if the table has a single row, and code that does not know the column can no longer insert.",
    safe: "give it a default, or add it nullable, fill it, and require it later",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN state text NOT NULL;",
    good: "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let table = &action.table;
    let filled = column.default().is_some()
        || column.is_serial()
        || column.generated(scene.known.major).is_some();
    (column.not_null() && !filled && scene.exists_before(table)).then(|| {
        let name = column.name();
        Hit::new(
            format!("{table}.{name}"),
            format!("this fails if `{table}` has a row, and code that does not know `{name}` can no longer insert"),
        )
    })
}
