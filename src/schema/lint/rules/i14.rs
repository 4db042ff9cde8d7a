//! I14: a table or materialized view filled in the migration.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a table or materialized view filled in the migration.
pub(crate) const RULE: Rule = Rule {
    code: "I14",
    name: "fill-from-query",
    severity: Severity::Note,
    required: false,
    why: "The whole query runs inside the migration: locks taken before are held that long, and an old snapshot holds back vacuum.",
    safe: "create it WITH NO DATA and fill it afterwards",
    versions: "all",
    bad: "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;",
    good: "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders WITH NO DATA;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let fills = matches!(
        scene.class(),
        Class::CreateTableAs | Class::SelectInto | Class::Create(Object::MaterializedView)
    );
    let reads = phrase.contains(&["from"]) && !phrase.has(&["no", "data"]);
    (fills && reads && !phrase.is(1, "temp") && !phrase.is(1, "temporary")).then(|| {
        let subject = known::created(phrase)
            .map_or_else(|| scene.line().statement.verb(), |name| name.to_string());
        Hit::new(
            subject,
            "the query runs inside the migration and keeps every lock taken before it",
        )
    })
}
