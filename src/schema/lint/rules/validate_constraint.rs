//! S12: a constraint validated, which reads the whole table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S12",
    name: "validate-constraint",
    severity: Severity::Note,
    required: false,
    why: "VALIDATE CONSTRAINT scans the table. Reads and writes continue, but other DDL, VACUUM and CREATE INDEX CONCURRENTLY are blocked.",
    safe: "Move it into a separate migration and run that at a quiet time",
    versions: "all",
    bad: "ALTER TABLE orders VALIDATE CONSTRAINT amount_positive; -- of a table of 400 GB",
    good: "ALTER TABLE orders ADD CHECK (amount > 0) NOT VALID;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::Validate(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let others = context.file.statements.len() > 1 && context.file.in_transaction;
    (others && context.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!(
                "Validating `{constraint}` scans `{table}` while this file's other locks are held"
            ),
        )
    })
}
