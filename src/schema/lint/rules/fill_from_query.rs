//! I14: a table or materialized view filled by a query in the migration.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "I14",
    name: "fill-from-query",
    severity: Severity::Note,
    required: false,
    why: "The query runs inside the migration, so locks taken earlier are held until it ends, and its old snapshot holds back vacuum.",
    safe: "Create it WITH NO DATA and fill it afterwards",
    versions: "all",
    bad: "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;",
    good: "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders WITH NO DATA;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let fills = matches!(
        context.class(),
        Class::CreateTableAs | Class::SelectInto | Class::Create(Object::MaterializedView)
    );
    let reads = phrase.contains(&["from"]) && !phrase.has(&["no", "data"]);
    (fills && reads && !phrase.is(1, "temp") && !phrase.is(1, "temporary")).then(|| {
        let subject = declared_so_far::created(phrase).map_or_else(
            || context.statement().statement.verb(),
            |name| name.to_string(),
        );
        Hit::new(
            subject,
            "The query runs inside the migration; earlier locks are held until it ends",
        )
    })
}
