//! D01: a table dropped.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D01",
    name: "drop-table",
    severity: Severity::Warn,
    required: false,
    why: "All rows are lost, and the down migration recreates the table without them. Queries on the table fail immediately, and tables that it references are locked.",
    safe: "Rename the table first and drop it one release later, after a backup",
    versions: "all",
    bad: "DROP TABLE orders;",
    good: "ALTER TABLE orders RENAME TO zz_drop_orders;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Drop(Object::Table) {
        return None;
    }
    let (name, start) = declared_so_far::dropped(context.phrase(), 2)
        .into_iter()
        .find(|(name, _)| context.exists_before(name))?;
    Some(
        Hit::new(
            &name,
            format!(
                "Drops table `{name}` and all its rows; the down migration cannot restore them"
            ),
        )
        .start(start),
    )
}
