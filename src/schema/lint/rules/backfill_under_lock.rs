//! T05: rows changed under the lock of an ALTER TABLE.

use crate::finding::Severity;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;
use crate::sql::phrase::QualifiedName;

pub(crate) const RULE: Rule = Rule {
    code: "T05",
    name: "backfill-under-lock",
    severity: Severity::Warn,
    required: false,
    why: "ALTER TABLE keeps its ACCESS EXCLUSIVE lock until the transaction ends, so reads and writes are blocked while the rows are changed.",
    safe: "Move the backfill into a separate migration, in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN a int; UPDATE orders SET a = 1;",
    good: "UPDATE orders SET a = 1 WHERE id BETWEEN 1 AND 1000; -- a migration of its own",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let table = written(context)?;
    if !context.file.in_transaction || !context.exists_before(&table) {
        return None;
    }
    let altered = context.is_before(&StatementFact::AltersTable(table.clone()));
    altered.then(|| {
        Hit::new(
            &table,
            format!(
                "Rows of `{table}` are changed under the ACCESS EXCLUSIVE lock of an earlier ALTER TABLE"
            ),
        )
    })
}
fn written(context: &StatementContext<'_>) -> Option<QualifiedName> {
    let phrase = context.phrase();
    let at = match context.class() {
        Class::Update => phrase.find(&["update"])? + 1,
        Class::Delete => phrase.find(&["delete", "from"])? + 2,
        _ => return None,
    };
    phrase
        .name(phrase.skip(at, &["only"]))
        .map(|(name, _)| name)
}
