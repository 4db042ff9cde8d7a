//! R16: VACUUM FULL.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds VACUUM FULL.
pub(crate) const RULE: Rule = Rule {
    code: "R16",
    name: "vacuum-full",
    severity: Severity::Warn,
    required: false,
    why: "VACUUM FULL writes the whole table anew while nobody can use it.",
    safe: "plain VACUUM frees space for reuse; to shrink the file, use pg_repack",
    versions: "all",
    bad: "VACUUM FULL orders;",
    good: "VACUUM (ANALYZE) orders;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let full = phrase.is(1, "full")
        || phrase
            .inside(1)
            .is_some_and(|(options, _)| options.has(&["full"]));
    (scene.class() == Class::Vacuum && full).then(|| {
        Hit::new(
            "VACUUM FULL",
            "the table is written anew while nobody can use it",
        )
    })
}
