//! R02: a column added with a default that differs from row to row.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::column::volatile_call;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column added with a default that differs from row to row.
pub(crate) const RULE: Rule = Rule {
    code: "R02",
    name: "add-column-volatile-default",
    severity: Severity::Warn,
    required: false,
    why: "PostgreSQL computes the default for every row: it rewrites the table and all its indexes while nobody can read or write it. A constant or `now()` is computed once and costs nothing.",
    safe: "add the column without a default, set the default, then fill old rows in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid();",
    good: "ALTER TABLE orders ADD COLUMN seen_at timestamptz DEFAULT now();",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let function = volatile_call(column.default()?)?;
    if !scene.exists_before(&action.table) {
        return None;
    }
    let (table, name) = (&action.table, column.name());
    Some(
        Hit::new(
            format!("{table}.{name}"),
            format!("the default `{function}(…)` is computed for every row, which rewrites `{table}` while nobody can use it"),
        )
        .help(format!(
            "ALTER TABLE {table} ADD COLUMN {name} {}; ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {}; then fill old rows in batches",
            column.data_type.text(),
            column.default()?.text(),
        )),
    )
}
