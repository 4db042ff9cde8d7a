//! R03: a serial column added to an existing table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a serial column added to an existing table.
pub(crate) const RULE: Rule = Rule {
    code: "R03",
    name: "add-column-serial",
    severity: Severity::Warn,
    required: false,
    why: "A serial has a default of its own, `nextval`, which differs from row to row: the table and all its indexes are rewritten while nobody can use it.",
    safe: "add the column, make a sequence, set the default, then fill old rows in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN number bigserial;",
    good: "ALTER TABLE orders ADD COLUMN number bigint;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let (table, name) = (&action.table, column.name());
    (column.is_serial() && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{name}"),
            format!("a {} column is filled for every row, which rewrites `{table}` while nobody can use it", column.type_text()),
        )
    })
}
