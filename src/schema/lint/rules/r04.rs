//! R04: an identity column added to an existing table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::column::Generated;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds an identity column added to an existing table.
pub(crate) const RULE: Rule = Rule {
    code: "R04",
    name: "add-column-identity",
    severity: Severity::Warn,
    required: false,
    why: "Every row gets a number at once: the table and all its indexes are rewritten while nobody can use it.",
    safe: "add a plain column, fill old rows in batches, then ALTER COLUMN … ADD GENERATED … AS IDENTITY",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;",
    good: "ALTER TABLE orders ADD COLUMN number bigint;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let (table, name) = (&action.table, column.name());
    let identity = column.generated(scene.known.major) == Some(Generated::Identity);
    (identity && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{name}"),
            format!("an identity column is filled for every row, which rewrites `{table}` while nobody can use it"),
        )
    })
}
