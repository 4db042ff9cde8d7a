//! I13: a materialized view refreshed while nobody can read it.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a materialized view refreshed while nobody can read it.
pub(crate) const RULE: Rule = Rule {
    code: "I13",
    name: "refresh-materialized-view",
    severity: Severity::Warn,
    required: false,
    why: "REFRESH MATERIALIZED VIEW locks the view for everyone while its query runs.",
    safe: "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view",
    versions: "all",
    bad: "REFRESH MATERIALIZED VIEW totals;",
    good: "REFRESH MATERIALIZED VIEW CONCURRENTLY totals;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class()
        != (Class::Refresh {
            concurrently: false,
        })
        || scene.phrase().has(&["no", "data"])
    {
        return None;
    }
    let (name, _) = scene.phrase().name(3)?;
    scene.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("nobody can read `{name}` while its query runs"),
        )
        .help(format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {name}"))
    })
}
