//! S09: a primary key using an index on nullable columns.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S09",
    name: "primary-key-nullable",
    severity: Severity::Warn,
    required: false,
    why: "ADD PRIMARY KEY USING INDEX is instant, but PostgreSQL then scans all rows for nulls under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "First add a CHECK (… IS NOT NULL) NOT VALID, validate it, and SET NOT NULL",
    versions: "all",
    bad: "ALTER TABLE orders ADD PRIMARY KEY USING INDEX orders_id_idx;",
    good: "ALTER TABLE orders ALTER COLUMN id SET NOT NULL; -- proven by a valid check",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let index = constraint
        .using_index
        .as_ref()
        .filter(|_| constraint.kind == ConstraintKind::Primary)?;
    let table = context.declared.tables.get(&action.table)?;
    let name = &action.table;
    // The newest index list of the table that belongs to this name is not kept apart; its columns are enough.
    let nullable = context
        .declared
        .indexes
        .get(index)
        .is_some_and(|on| on == name)
        && table.indexed.iter().next_back().is_some_and(|index| {
            index
                .columns
                .iter()
                .any(|column| !table.not_null.contains(column))
        });
    (nullable && context.exists_before(name)).then(|| {
        Hit::new(
            name,
            format!("Index `{index}` has nullable columns, so `{name}` is scanned under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
