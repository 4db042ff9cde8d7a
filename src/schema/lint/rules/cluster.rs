//! R15: a table clustered.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "R15",
    name: "cluster",
    severity: Severity::Warn,
    required: false,
    why: "CLUSTER rewrites the table in index order under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "Use pg_repack, which holds its exclusive lock only briefly",
    versions: "all",
    bad: "CLUSTER orders USING orders_created_idx;",
    good: "ALTER TABLE orders CLUSTER ON orders_created_idx;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    (context.class() == Class::Cluster).then(|| {
        let phrase = context.phrase();
        let name = phrase.name(phrase.skip(1, &["verbose"]));
        let subject = name.map_or_else(
            || "all clustered tables".to_owned(),
            |(name, _)| name.to_string(),
        );
        Hit::new(
            &subject,
            format!("Rewrites {subject} under an ACCESS EXCLUSIVE lock (blocks reads and writes)"),
        )
    })
}
