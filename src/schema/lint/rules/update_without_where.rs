//! T06: an UPDATE without WHERE.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "T06",
    name: "update-without-where",
    severity: Severity::Warn,
    required: false,
    why: "All rows are rewritten in one transaction, which bloats the table, produces much WAL and blocks other writers until the end.",
    safe: "Update in batches by key, each in its own transaction; if all rows must change at once, add WHERE true",
    versions: "all",
    bad: "UPDATE orders SET state = 'new';",
    good: "UPDATE orders SET state = 'new' WHERE state IS NULL;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Update {
        return None;
    }
    let phrase = context.phrase();
    let at = phrase.find(&["update"])?;
    let (table, _) = phrase.name(phrase.skip(at + 1, &["only"]))?;
    (!phrase.from(at).has(&["where"]) && context.exists_before(&table)).then(|| {
        Hit::new(
            &table,
            format!("Updates all rows of `{table}` in one transaction"),
        )
    })
}
