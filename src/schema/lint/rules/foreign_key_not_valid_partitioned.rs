//! S21: a NOT VALID foreign key on a partitioned table.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S21",
    name: "foreign-key-not-valid-partitioned",
    severity: Severity::Error,
    required: false,
    why: "Before PostgreSQL 18, ADD FOREIGN KEY … NOT VALID fails on a partitioned table.",
    safe: "Add the foreign key NOT VALID to each partition and validate it, then add it to the parent",
    versions: "14 to 17",
    bad: "ALTER TABLE events ADD FOREIGN KEY (a) REFERENCES b (a) NOT VALID; -- partitioned",
    good: "ALTER TABLE events_2025 ADD FOREIGN KEY (a) REFERENCES b (a) NOT VALID;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let partitioned = context
        .declared
        .tables
        .get(table)
        .is_some_and(|table| table.partitioned);
    let refused = constraint.kind == ConstraintKind::Foreign
        && constraint.not_valid
        && context.declared.major < 18;
    (refused && partitioned).then(|| {
        Hit::new(
            table,
            format!(
                "PostgreSQL {} rejects a NOT VALID foreign key on partitioned table `{table}`",
                context.declared.major
            ),
        )
    })
}
