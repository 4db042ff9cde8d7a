//! C06: a NOT VALID constraint that rejects writes of running code.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "C06",
    name: "new-write-restriction",
    severity: Severity::Note,
    required: false,
    why: "NOT VALID skips existing rows, but the constraint is enforced for all new writes immediately.",
    safe: "First release code that satisfies the constraint, then add it",
    versions: "all",
    bad: "ALTER TABLE orders ADD CHECK (amount > 0) NOT VALID;",
    good: "ALTER TABLE orders DROP CONSTRAINT amount_positive;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let refuses = constraint.not_valid && !constraint.proves_not_null_only();
    (refuses && context.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!(
                "The {} may reject writes of running code to `{table}`",
                constraint.name_or_kind()
            ),
        )
    })
}
