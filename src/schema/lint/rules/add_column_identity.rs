//! R04: an identity column added to a table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::column::Generated;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R04",
    name: "add-column-identity",
    severity: Severity::Warn,
    required: false,
    why: "Each existing row gets a number, so the table and all its indexes are rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Add a plain column, backfill old rows in batches, then ALTER COLUMN … ADD GENERATED … AS IDENTITY",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;",
    good: "ALTER TABLE orders ADD COLUMN number bigint;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let (table, name) = (&action.table, column.name());
    let identity = column.generated(context.declared.major) == Some(Generated::Identity);
    (identity && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{name}"),
            format!("Adding an identity column rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
