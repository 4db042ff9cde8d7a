//! I02: an index dropped without CONCURRENTLY.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "I02",
    name: "drop-index",
    severity: Severity::Warn,
    required: false,
    why: "DROP INDEX takes an ACCESS EXCLUSIVE lock on the table: it waits for all running queries, and later queries wait behind it.",
    safe: "DROP INDEX CONCURRENTLY, as the only statement of a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "DROP INDEX orders_created_idx;",
    good: "DROP INDEX CONCURRENTLY orders_created_idx;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class()
        != (Class::DropIndex {
            concurrently: false,
        })
    {
        return None;
    }
    let (name, start) = declared_so_far::dropped(context.phrase(), 2)
        .into_iter()
        .find(|(name, _)| {
            let table = context.declared.indexes.get(&name.name);
            context.exists_before(name) && table.is_none_or(|table| context.exists_before(table))
        })?;
    Some(
        Hit::new(&name, format!("Dropping index `{name}` takes an ACCESS EXCLUSIVE lock on its table (blocks reads and writes)"))
            .start(start)
            .help(format!("DROP INDEX CONCURRENTLY {name}, as the only statement of a migration that begins with `-- af-db: no-transaction`")),
    )
}
