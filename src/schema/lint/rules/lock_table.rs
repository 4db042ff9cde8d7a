//! T08: LOCK TABLE in ACCESS EXCLUSIVE mode.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "T08",
    name: "lock-table",
    severity: Severity::Warn,
    required: false,
    why: "Without a mode, LOCK TABLE takes ACCESS EXCLUSIVE (blocks reads and writes) until the migration ends.",
    safe: "Remove it, or name the weakest sufficient mode, with NOWAIT",
    versions: "all",
    bad: "LOCK TABLE orders;",
    good: "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let strong = !phrase.has(&["mode"]) || phrase.has(&["access", "exclusive"]);
    let (table, _) = phrase.name(phrase.skip(phrase.skip(1, &["table"]), &["only"]))?;
    (context.class() == Class::Lock && strong && context.exists_before(&table)).then(|| {
        Hit::new(
            &table,
            format!("LOCK TABLE blocks reads and writes of `{table}` until the migration ends"),
        )
    })
}
