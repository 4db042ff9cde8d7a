//! D02: a column dropped.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "D02",
    name: "drop-column",
    severity: Severity::Warn,
    required: false,
    why: "All values are lost, running code that uses the column fails immediately, and indexes and constraints on the column are dropped.",
    safe: "First release code that does not use the column, take a backup, then drop it",
    versions: "all",
    bad: "ALTER TABLE orders DROP COLUMN note;",
    good: "ALTER TABLE orders ALTER COLUMN note DROP NOT NULL;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::DropColumn(column) = &action.kind else {
        return None;
    };
    let table = &action.table;
    context.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Drops column `{column}` and its values; running code that uses it fails"),
        )
    })
}
