//! S01: a column set NOT NULL without a validated check.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S01",
    name: "set-not-null",
    severity: Severity::Warn,
    required: false,
    why: "All rows are scanned under an ACCESS EXCLUSIVE lock (blocks reads and writes), unless a valid CHECK (column IS NOT NULL) exists.",
    safe: "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; in the next migration VALIDATE CONSTRAINT, SET NOT NULL, then drop the check",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN note SET NOT NULL;",
    good: "ALTER TABLE orders ADD CONSTRAINT note_there CHECK (note IS NOT NULL) NOT VALID;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AlterColumn(column, rest) = &action.kind else {
        return None;
    };
    let table = &action.table;
    if !rest.begins(&["set", "not", "null"]) || !context.exists_before(table) {
        return None;
    }
    let declared = context.declared.tables.get(table);
    let is_proven = declared.is_some_and(|table| {
        table.not_null.contains(column)
            || table
                .not_null_checks
                .get(column)
                .is_some_and(|proof| proof.valid)
    });
    (!is_proven).then(|| {
        let check = if context.declared.major >= 18 {
            format!("ALTER TABLE {table} ADD CONSTRAINT {column}_not_null NOT NULL {column} NOT VALID; then, in the next migration, ALTER TABLE {table} VALIDATE CONSTRAINT {column}_not_null")
        } else {
            format!("ALTER TABLE {table} ADD CONSTRAINT {column}_not_null CHECK ({column} IS NOT NULL) NOT VALID; then, in the next migration, VALIDATE CONSTRAINT, SET NOT NULL, DROP CONSTRAINT")
        };
        Hit::new(
            format!("{table}.{column}"),
            format!("SET NOT NULL scans `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
        .help(check)
    })
}
