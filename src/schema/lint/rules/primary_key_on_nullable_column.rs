//! S08: a primary key on a nullable column.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S08",
    name: "primary-key-on-nullable",
    severity: Severity::Warn,
    required: false,
    why: "PostgreSQL sets the column NOT NULL first, which scans the table once more under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "First add a CHECK (column IS NOT NULL) NOT VALID, VALIDATE it, then SET NOT NULL",
    versions: "all",
    bad: "ALTER TABLE orders ADD PRIMARY KEY (number); -- number may be null",
    good: "ALTER TABLE orders ADD PRIMARY KEY USING INDEX orders_number;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    if constraint.kind != ConstraintKind::Primary || constraint.using_index.is_some() {
        return None;
    }
    let table = &action.table;
    let declared = context.declared.tables.get(table)?;
    let column = constraint.columns.iter().find(|column| {
        declared.columns.contains_key(*column) && !declared.not_null.contains(*column)
    })?;
    context.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!(
                "Column `{column}` is nullable, so the primary key also scans `{table}` for nulls"
            ),
        )
    })
}
