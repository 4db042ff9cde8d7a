//! R17: the expression of a generated column changed.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R17",
    name: "set-expression",
    severity: Severity::Warn,
    required: false,
    why: "The expression is computed for each row and the table is rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Add a new column, backfill it in batches, then swap the names",
    versions: "17 and later",
    bad: "ALTER TABLE orders ALTER COLUMN total SET EXPRESSION AS (qty * 2);",
    good: "ALTER TABLE orders ADD COLUMN total2 int;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AlterColumn(column, rest) = &action.kind else {
        return None;
    };
    let table = &action.table;
    (rest.begins(&["set", "expression"]) && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
