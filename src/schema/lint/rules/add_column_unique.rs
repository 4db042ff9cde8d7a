//! S07: a column added with UNIQUE or PRIMARY KEY.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S07",
    name: "add-column-unique",
    severity: Severity::Warn,
    required: false,
    why: "The index is built under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Add the column, CREATE UNIQUE INDEX CONCURRENTLY in a separate migration, then ADD CONSTRAINT … USING INDEX",
    versions: "all",
    bad: "ALTER TABLE users ADD COLUMN handle text UNIQUE;",
    good: "ALTER TABLE users ADD COLUMN handle text;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let builds = column.is_unique() || column.is_primary();
    (builds && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{}", column.name()),
            format!("Builds the index of the new column of `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
