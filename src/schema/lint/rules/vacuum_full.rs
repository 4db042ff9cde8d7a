//! R16: VACUUM FULL.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "R16",
    name: "vacuum-full",
    severity: Severity::Warn,
    required: false,
    why: "VACUUM FULL rewrites the table under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Use VACUUM to free space for reuse; to shrink the file, use pg_repack",
    versions: "all",
    bad: "VACUUM FULL orders;",
    good: "VACUUM (ANALYZE) orders;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let full = phrase.is(1, "full")
        || phrase
            .inside(1)
            .is_some_and(|(options, _)| options.has(&["full"]));
    (context.class() == Class::Vacuum && full).then(|| {
        Hit::new(
            "VACUUM FULL",
            "VACUUM FULL rewrites the table under an ACCESS EXCLUSIVE lock (blocks reads and writes)",
        )
    })
}
