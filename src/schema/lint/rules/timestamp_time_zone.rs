//! R10: a change between timestamp and timestamptz.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::lint::types;
use crate::lint::types::TypeChange;

pub(crate) const RULE: Rule = Rule {
    code: "R10",
    name: "timestamp-time-zone",
    severity: Severity::Warn,
    required: false,
    why: "The table is rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes) unless the session's time zone is UTC. Indexes on the column are rebuilt in either case.",
    safe: "Run SET LOCAL timezone = 'UTC' first if the values are in UTC; otherwise add a new column and backfill it in batches",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN created TYPE timestamptz;",
    good: "ALTER TABLE orders ADD COLUMN created_at timestamptz;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::SetType(column, data_type) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let old = context.declared.column_type(table, column);
    let zoned = match old {
        Some(old) => types::change(old, &new) == TypeChange::TimeZone,
        None => false,
    };
    (zoned && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Converted values of `{column}`, and whether `{table}` is rewritten, depend on the session's time zone"),
        )
    })
}
