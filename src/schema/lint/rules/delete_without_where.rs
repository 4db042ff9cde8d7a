//! D08: a DELETE without WHERE.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "D08",
    name: "delete-without-where",
    severity: Severity::Warn,
    required: false,
    why: "All rows are lost, in one transaction that blocks other writers until its end.",
    safe: "Delete in batches; if all rows must be deleted at once, add WHERE true",
    versions: "all",
    bad: "DELETE FROM orders;",
    good: "DELETE FROM orders WHERE created < '2020-01-01';",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Delete {
        return None;
    }
    let phrase = context.phrase();
    let at = phrase.find(&["delete", "from"])?;
    let (table, _) = phrase.name(phrase.skip(at + 2, &["only"]))?;
    (!phrase.from(at).has(&["where"]) && context.exists_before(&table)).then(|| {
        Hit::new(
            &table,
            format!("DELETE without WHERE deletes all rows of `{table}`"),
        )
    })
}
