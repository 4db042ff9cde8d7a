//! R05: a stored generated column added to a table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::column::Generated;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R05",
    name: "add-column-stored",
    severity: Severity::Warn,
    required: false,
    why: "The expression is computed for each row, so the table and all its indexes are rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Add a plain column and fill it with a trigger and in batches; from PostgreSQL 18 on, a VIRTUAL column needs no rewrite",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN total int GENERATED ALWAYS AS (qty * price) STORED;",
    good: "ALTER TABLE orders ADD COLUMN total int;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let (table, name) = (&action.table, column.name());
    let stored = column.generated(context.declared.major) == Some(Generated::Stored);
    (stored && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{name}"),
            format!("Adding a stored generated column rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
