//! R03: a serial column added to a table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R03",
    name: "add-column-serial",
    severity: Severity::Warn,
    required: false,
    why: "The default `nextval` of a serial column differs per row, so the table and all its indexes are rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Add the column without a default, create a sequence, set the default, then backfill old rows in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN number bigserial;",
    good: "ALTER TABLE orders ADD COLUMN number bigint;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let (table, name) = (&action.table, column.name());
    (column.is_serial() && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{name}"),
            format!("Adding a {} column rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)", column.type_text()),
        )
    })
}
