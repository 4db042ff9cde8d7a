//! S08: a primary key over a column that may be null.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a primary key over a column that may be null.
pub(crate) const RULE: Rule = Rule {
    code: "S08",
    name: "primary-key-on-nullable",
    severity: Severity::Warn,
    required: false,
    why: "PostgreSQL makes the column NOT NULL first, which reads the whole table once more under a lock that blocks everyone.",
    safe: "prove it before: a CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL",
    versions: "all",
    bad: "ALTER TABLE orders ADD PRIMARY KEY (number); -- number may be null",
    good: "ALTER TABLE orders ADD PRIMARY KEY USING INDEX orders_number;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    if constraint.kind != Kind::Primary || constraint.using_index.is_some() {
        return None;
    }
    let table = &action.table;
    let known = scene.known.tables.get(table)?;
    let column = constraint
        .columns
        .iter()
        .find(|column| known.columns.contains_key(*column) && !known.not_null.contains(*column))?;
    scene.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!(
                "`{column}` may be null: all of `{table}` is read once more to see that it is not"
            ),
        )
    })
}
