//! R02: a column added with a volatile default.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::column::volatile_call;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R02",
    name: "add-column-volatile-default",
    severity: Severity::Warn,
    required: false,
    why: "PostgreSQL computes the default for each row and rewrites the table and all its indexes under an ACCESS EXCLUSIVE lock (blocks reads and writes). A constant or `now()` is computed once and needs no rewrite.",
    safe: "Add the column without a default, set the default, then backfill old rows in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid();",
    good: "ALTER TABLE orders ADD COLUMN seen_at timestamptz DEFAULT now();",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let function = volatile_call(column.default()?)?;
    if !context.exists_before(&action.table) {
        return None;
    }
    let (table, name) = (&action.table, column.name());
    Some(
        Hit::new(
            format!("{table}.{name}"),
            format!("Volatile default `{function}(…)` rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
        .help(format!(
            "ALTER TABLE {table} ADD COLUMN {name} {}; ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {}; then backfill old rows in batches",
            column.data_type.text(),
            column.default()?.text(),
        )),
    )
}
