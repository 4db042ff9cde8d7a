//! S07: a column added UNIQUE or as primary key.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column added UNIQUE or as primary key.
pub(crate) const RULE: Rule = Rule {
    code: "S07",
    name: "add-column-unique",
    severity: Severity::Warn,
    required: false,
    why: "The index is built while nobody can use the table.",
    safe: "add the column, CREATE UNIQUE INDEX CONCURRENTLY in a migration of its own, then ADD CONSTRAINT … USING INDEX",
    versions: "all",
    bad: "ALTER TABLE users ADD COLUMN handle text UNIQUE;",
    good: "ALTER TABLE users ADD COLUMN handle text;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let table = &action.table;
    let builds = column.is_unique() || column.is_primary();
    (builds && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{}", column.name()),
            format!("the index of the new column is built while nobody can use `{table}`"),
        )
    })
}
