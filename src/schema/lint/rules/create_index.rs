//! I01: an index created without CONCURRENTLY.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;
use crate::sql::phrase::Phrase;

pub(crate) const RULE: Rule = Rule {
    code: "I01",
    name: "create-index",
    severity: Severity::Warn,
    required: false,
    why: "CREATE INDEX holds a SHARE lock (blocks writes) during the build.",
    safe: "CREATE INDEX CONCURRENTLY, as the only statement of a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "CREATE INDEX orders_created_idx ON orders (created);",
    good: "CREATE INDEX CONCURRENTLY orders_created_idx ON orders (created);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class()
        != (Class::CreateIndex {
            concurrently: false,
        })
    {
        return None;
    }
    let (name, table, _) = declared_so_far::new_index(context.phrase())?;
    let partitioned = context
        .declared
        .tables
        .get(&table)
        .is_some_and(|table| table.partitioned);
    if !context.exists_before(&table) || context.phrase().has(&["on", "only"]) {
        return None;
    }
    let hit = Hit::new(
        name.unwrap_or_else(|| table.to_string()),
        format!("CREATE INDEX blocks writes to `{table}` during the build"),
    );
    Some(if partitioned {
        hit.help(format!(
            "CREATE INDEX … ON ONLY {table}, then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX … ATTACH PARTITION"
        ))
    } else {
        hit.help(format!(
            "{}, as the only statement of a migration that begins with `-- af-db: no-transaction`",
            concurrent(context.phrase())
        ))
    })
}
/// Spells the statement with `CONCURRENTLY`.
fn concurrent(phrase: Phrase<'_>) -> String {
    let at = usize::from(phrase.is(1, "unique")) + 2;
    format!(
        "{} CONCURRENTLY {}",
        phrase.range(0, at).text(),
        phrase.from(at).text()
    )
}
