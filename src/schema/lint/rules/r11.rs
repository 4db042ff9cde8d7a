//! R11: a change of collation or to citext, which rebuilds indexes.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::lint::types;

/// Finds a change of collation or to citext, which rebuilds indexes.
pub(crate) const RULE: Rule = Rule {
    code: "R11",
    name: "change-column-collation",
    severity: Severity::Warn,
    required: false,
    why: "The table is not rewritten, but every index of the column is built anew while nobody can use the table.",
    safe: "drop the indexes first and build them again CONCURRENTLY, or add a new column",
    versions: "all",
    bad: "ALTER TABLE users ALTER COLUMN email TYPE citext;",
    good: "ALTER TABLE users ADD COLUMN email_folded citext;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::SetType(column, data_type) = &action.does else {
        return None;
    };
    let table = &action.table;
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let rebuilds = data_type.has(&["collate"]) || new == "citext";
    (rebuilds && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("every index of `{table}` that uses `{column}` is rebuilt while nobody can use the table"),
        )
    })
}
