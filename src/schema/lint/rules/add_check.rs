//! S02: a CHECK added without NOT VALID.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S02",
    name: "add-check",
    severity: Severity::Warn,
    required: false,
    why: "All rows are scanned under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in the next migration, which blocks neither reads nor writes",
    versions: "all",
    bad: "ALTER TABLE orders ADD CONSTRAINT qty_positive CHECK (qty > 0);",
    good: "ALTER TABLE orders ADD CONSTRAINT qty_positive CHECK (qty > 0) NOT VALID;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let scans = matches!(
        constraint.kind,
        ConstraintKind::Check | ConstraintKind::NotNull
    ) && !constraint.not_valid;
    let enforced = !constraint.phrase.has(&["not", "enforced"]);
    (scans && enforced && context.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!("Adding the {} scans `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)", constraint.name_or_kind()),
        )
        .help(format!(
            "ALTER TABLE {table} {} NOT VALID; then, in the next migration, ALTER TABLE {table} VALIDATE CONSTRAINT {}",
            action.phrase.text(),
            constraint.name.as_deref().unwrap_or("…"),
        ))
    })
}
