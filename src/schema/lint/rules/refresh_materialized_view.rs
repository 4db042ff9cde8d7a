//! I13: a materialized view refreshed without CONCURRENTLY.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "I13",
    name: "refresh-materialized-view",
    severity: Severity::Warn,
    required: false,
    why: "REFRESH MATERIALIZED VIEW holds an ACCESS EXCLUSIVE lock (blocks reads and writes) while the query runs.",
    safe: "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view",
    versions: "all",
    bad: "REFRESH MATERIALIZED VIEW totals;",
    good: "REFRESH MATERIALIZED VIEW CONCURRENTLY totals;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class()
        != (Class::Refresh {
            concurrently: false,
        })
        || context.phrase().has(&["no", "data"])
    {
        return None;
    }
    let (name, _) = context.phrase().name(3)?;
    context.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("REFRESH blocks reads of `{name}` while its query runs (ACCESS EXCLUSIVE)"),
        )
        .help(format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {name}"))
    })
}
