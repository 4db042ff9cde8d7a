//! R07: a change of type that rewrites the table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::lint::types;
use crate::lint::types::Change;

/// Finds a change of type that rewrites the table.
pub(crate) const RULE: Rule = Rule {
    code: "R07",
    name: "change-column-type",
    severity: Severity::Warn,
    required: false,
    why: "Unless both types are stored alike, every row and every index is written anew while nobody can use the table. Only longer varchars, text, and more digits before the point are free.",
    safe: "add a new column, keep both in step by a trigger, fill old rows in batches, then swap the names",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN qty TYPE bigint;",
    good: "ALTER TABLE orders ALTER COLUMN code TYPE text; -- from varchar",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::SetType(column, data_type) = &action.does else {
        return None;
    };
    let table = &action.table;
    if !scene.exists_before(table) {
        return None;
    }
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let subject = format!("{table}.{column}");
    match scene.known.column_type(table, column) {
        Some(old) => match types::change(old, &new) {
            Change::Rewrite | Change::Lossy => Some(Hit::new(
                subject,
                format!(
                    "`{old}` to `{new}` rewrites `{table}` and all its indexes while nobody can use it"
                ),
            )),
            Change::Free | Change::TimeZone => None,
        },
        None if matches!(new.as_str(), "text" | "varchar" | "numeric") => None,
        None => Some(Hit::new(
            subject,
            format!(
                "a change to `{new}` rewrites `{table}` while nobody can use it, unless the old type is stored alike"
            ),
        )),
    }
}
