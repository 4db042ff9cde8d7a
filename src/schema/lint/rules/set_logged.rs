//! R12: a table switched to or from UNLOGGED.

use crate::finding::Severity;
use crate::lint::alter::AlterAction;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "R12",
    name: "set-logged",
    severity: Severity::Warn,
    required: false,
    why: "The table is rewritten under an ACCESS EXCLUSIVE lock (blocks reads and writes). An unlogged table is truncated after a crash and is empty on each standby.",
    safe: "Create a new table and swap the names; do not keep important data in unlogged tables",
    versions: "all",
    bad: "ALTER TABLE orders SET UNLOGGED;",
    good: "CREATE UNLOGGED TABLE cache (k text);",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let logged = action.phrase.begins(&["set", "logged"]);
    let unlogged = action.phrase.begins(&["set", "unlogged"]);
    let table = &action.table;
    ((logged || unlogged) && context.exists_before(table)).then(|| {
        let loss = if unlogged {
            "; an unlogged table is truncated after a crash"
        } else {
            ""
        };
        Hit::new(
            table,
            format!(
                "Rewrites `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes){loss}"
            ),
        )
    })
}
