//! R07: a change of type that rewrites the table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::lint::types;
use crate::lint::types::TypeChange;

pub(crate) const RULE: Rule = Rule {
    code: "R07",
    name: "change-column-type",
    severity: Severity::Warn,
    required: false,
    why: "Unless both types have the same binary format, the table and all its indexes are rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes). Only a longer varchar, text, or more digits before the decimal point need no rewrite.",
    safe: "Add a new column, synchronize both with a trigger, backfill old rows in batches, then swap the names",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN qty TYPE bigint;",
    good: "ALTER TABLE orders ALTER COLUMN code TYPE text; -- from varchar",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::SetType(column, data_type) = &action.kind else {
        return None;
    };
    let table = &action.table;
    if !context.exists_before(table) {
        return None;
    }
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let subject = format!("{table}.{column}");
    match context.declared.column_type(table, column) {
        Some(old) => match types::change(old, &new) {
            TypeChange::Rewrite | TypeChange::Lossy => Some(Hit::new(
                subject,
                format!(
                    "Changing `{old}` to `{new}` rewrites `{table}` and its indexes under an ACCESS EXCLUSIVE lock (blocks reads and writes)"
                ),
            )),
            TypeChange::Free | TypeChange::TimeZone => None,
        },
        None if matches!(new.as_str(), "text" | "varchar" | "numeric") => None,
        None => Some(Hit::new(
            subject,
            format!(
                "Changing the type to `{new}` rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes), unless the old type has the same binary format"
            ),
        )),
    }
}
