//! C05: a NOT NULL column added without a default.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "C05",
    name: "add-required-column",
    severity: Severity::Error,
    required: false,
    why: "The statement fails if the table has any rows, and inserts by code that does not set the column fail.",
    safe: "Add a default, or add the column nullable, backfill it, and set NOT NULL later",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN state text NOT NULL;",
    good: "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let filled = column.default().is_some()
        || column.is_serial()
        || column.generated(context.declared.major).is_some();
    (column.not_null() && !filled && context.exists_before(table)).then(|| {
        let name = column.name();
        Hit::new(
            format!("{table}.{name}"),
            format!("Fails if `{table}` has rows; inserts that do not set `{name}` fail"),
        )
    })
}
