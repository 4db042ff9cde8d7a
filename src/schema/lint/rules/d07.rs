//! D07: a column changed to a type that holds less.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::lint::types;
use crate::lint::types::Change;

/// Finds a column changed to a type that holds less.
pub(crate) const RULE: Rule = Rule {
    code: "D07",
    name: "narrow-type",
    severity: Severity::Error,
    required: false,
    why: "Values that do not fit are cut or make the migration fail, after every row was read.",
    safe: "count the values that do not fit first; add a new column and move what fits",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN qty TYPE smallint; -- from integer",
    good: "ALTER TABLE orders ALTER COLUMN qty TYPE bigint; -- from integer",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::SetType(column, data_type) = &action.does else {
        return None;
    };
    let table = &action.table;
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let old = scene.known.column_type(table, column)?;
    (types::change(old, &new) == Change::Lossy && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("`{new}` holds less than `{old}`: values are cut, or the migration fails"),
        )
    })
}
