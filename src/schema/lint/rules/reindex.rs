//! I03: an index rebuilt without CONCURRENTLY.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "I03",
    name: "reindex",
    severity: Severity::Warn,
    required: false,
    why: "REINDEX blocks writes to the table, and queries that would use the index wait as well.",
    safe: "REINDEX … CONCURRENTLY, as the only statement of a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "REINDEX TABLE orders;",
    good: "REINDEX TABLE CONCURRENTLY orders;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    (context.class()
        == (Class::Reindex {
            concurrently: false,
        }))
    .then(|| {
        let phrase = context.phrase();
        let at = phrase.inside(1).map_or(1, |(_, after)| after) + 1;
        let subject = phrase
            .name(at)
            .map_or_else(String::new, |(name, _)| name.to_string());
        let what = phrase.at(at - 1).to_lowercase();
        Hit::new(
            &subject,
            format!("REINDEX of {what} `{subject}` blocks writes, and reads that use the index"),
        )
    })
}
