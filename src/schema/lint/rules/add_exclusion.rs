//! S10: an exclusion constraint added to an existing table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S10",
    name: "add-exclusion",
    severity: Severity::Warn,
    required: false,
    why: "The index is built and all rows are checked under an ACCESS EXCLUSIVE lock (blocks reads and writes). There is no concurrent form.",
    safe: "Create a new table with the constraint, fill it in batches, then swap the names",
    versions: "all",
    bad: "ALTER TABLE bookings ADD EXCLUDE USING gist (room WITH =, during WITH &&);",
    good: "CREATE TABLE bookings (during tsrange, EXCLUDE USING gist (during WITH &&));",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    (constraint.kind == ConstraintKind::Exclude && context.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!(
                "Adding the {} builds an index on `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)",
                constraint.name_or_kind()
            ),
        )
    })
}
