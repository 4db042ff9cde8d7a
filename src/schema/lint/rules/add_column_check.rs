//! S05: a column added with a CHECK.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S05",
    name: "add-column-check",
    severity: Severity::Warn,
    required: false,
    why: "All rows are scanned under an ACCESS EXCLUSIVE lock (blocks reads and writes), even though the new column is empty.",
    safe: "Add the column first, then the check as a constraint NOT VALID, and validate it in the next migration",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN qty int CHECK (qty > 0);",
    good: "ALTER TABLE orders ADD COLUMN qty int;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let table = &action.table;
    (column.has_check() && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{}", column.name()),
            format!(
                "The CHECK of the new column scans `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"
            ),
        )
    })
}
