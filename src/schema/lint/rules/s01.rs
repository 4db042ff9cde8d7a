//! S01: a column set NOT NULL without a proof.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column set NOT NULL without a proof.
pub(crate) const RULE: Rule = Rule {
    code: "S01",
    name: "set-not-null",
    severity: Severity::Warn,
    required: false,
    why: "Every row is read while nobody can use the table, unless a valid CHECK (column IS NOT NULL) already proves it.",
    safe: "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; in the next migration VALIDATE it, SET NOT NULL, and drop the check",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN note SET NOT NULL;",
    good: "ALTER TABLE orders ADD CONSTRAINT note_there CHECK (note IS NOT NULL) NOT VALID;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AlterColumn(column, rest) = &action.does else {
        return None;
    };
    let table = &action.table;
    if !rest.begins(&["set", "not", "null"]) || !scene.exists_before(table) {
        return None;
    }
    let known = scene.known.tables.get(table);
    let proven = known.is_some_and(|table| {
        table.not_null.contains(column) || table.proven.get(column).is_some_and(|proof| proof.valid)
    });
    (!proven).then(|| {
        let check = if scene.known.major >= 18 {
            format!("ALTER TABLE {table} ADD CONSTRAINT {column}_not_null NOT NULL {column} NOT VALID; then, in the next migration, ALTER TABLE {table} VALIDATE CONSTRAINT {column}_not_null")
        } else {
            format!("ALTER TABLE {table} ADD CONSTRAINT {column}_not_null CHECK ({column} IS NOT NULL) NOT VALID; then, in the next migration, VALIDATE CONSTRAINT, SET NOT NULL, DROP CONSTRAINT")
        };
        Hit::new(
            format!("{table}.{column}"),
            format!("every row of `{table}` is read while nobody can use it"),
        )
        .help(check)
    })
}
