//! R05: a stored generated column added to an existing table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::column::Generated;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a stored generated column added to an existing table.
pub(crate) const RULE: Rule = Rule {
    code: "R05",
    name: "add-column-stored",
    severity: Severity::Warn,
    required: false,
    why: "The expression is computed for every row: the table and all its indexes are rewritten while nobody can use it.",
    safe: "fill a plain column by a trigger and in batches; from PostgreSQL 18 on, VIRTUAL costs nothing",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN total int GENERATED ALWAYS AS (qty * price) STORED;",
    good: "ALTER TABLE orders ADD COLUMN total int;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let (table, name) = (&action.table, column.name());
    let stored = column.generated(scene.known.major) == Some(Generated::Stored);
    (stored && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{name}"),
            format!("a stored column is computed for every row, which rewrites `{table}` while nobody can use it"),
        )
    })
}
