//! R11: a change of collation or to citext, which rebuilds indexes.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::lint::types;

pub(crate) const RULE: Rule = Rule {
    code: "R11",
    name: "change-column-collation",
    severity: Severity::Warn,
    required: false,
    why: "The table is not rewritten, but each index on the column is rebuilt under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Drop the indexes first and recreate them with CREATE INDEX CONCURRENTLY, or add a new column",
    versions: "all",
    bad: "ALTER TABLE users ALTER COLUMN email TYPE citext;",
    good: "ALTER TABLE users ADD COLUMN email_folded citext;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::SetType(column, data_type) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let rebuilds = data_type.has(&["collate"]) || new == "citext";
    (rebuilds && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Rebuilds all indexes on `{table}.{column}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
