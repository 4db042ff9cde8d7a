//! R10: a change between timestamp and timestamptz.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::lint::types;
use crate::lint::types::Change;

/// Finds a change between timestamp and timestamptz.
pub(crate) const RULE: Rule = Rule {
    code: "R10",
    name: "timestamp-time-zone",
    severity: Severity::Warn,
    required: false,
    why: "The table stays as it is only if the session's time zone is UTC; any other zone rewrites it, and indexes of the column are rebuilt either way, while nobody can use the table.",
    safe: "SET LOCAL timezone = 'UTC' before it, and only if the values are meant as UTC; else a new column, filled in batches",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN created TYPE timestamptz;",
    good: "ALTER TABLE orders ADD COLUMN created_at timestamptz;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::SetType(column, data_type) = &action.does else {
        return None;
    };
    let table = &action.table;
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let old = scene.known.column_type(table, column);
    let zoned = match old {
        Some(old) => types::change(old, &new) == Change::TimeZone,
        None => false,
    };
    (zoned && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("what `{column}` means, and whether `{table}` is rewritten, depends on the time zone of the session that runs this"),
        )
    })
}
