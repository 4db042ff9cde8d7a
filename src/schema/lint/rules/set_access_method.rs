//! R14: a table switched to another access method.

use crate::finding::Severity;
use crate::lint::alter::AlterAction;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R14",
    name: "set-access-method",
    severity: Severity::Warn,
    required: false,
    why: "The table and all its indexes are rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Create a new table with the access method, fill it in batches, then swap the names",
    versions: "15 and later",
    bad: "ALTER TABLE orders SET ACCESS METHOD columnar;",
    good: "CREATE TABLE logs (a int) USING columnar;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let table = &action.table;
    (action.phrase.begins(&["set", "access", "method"]) && context.exists_before(table)).then(
        || {
            Hit::new(
                table,
                format!(
                    "Rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)"
                ),
            )
        },
    )
}
