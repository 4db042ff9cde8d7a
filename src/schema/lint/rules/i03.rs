//! I03: an index rebuilt while everyone waits.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds an index rebuilt while everyone waits.
pub(crate) const RULE: Rule = Rule {
    code: "I03",
    name: "reindex",
    severity: Severity::Warn,
    required: false,
    why: "REINDEX refuses writes to the table, and planning a query waits for the index as well.",
    safe: "REINDEX … CONCURRENTLY, alone in a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "REINDEX TABLE orders;",
    good: "REINDEX TABLE CONCURRENTLY orders;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    (scene.class()
        == (Class::Reindex {
            concurrently: false,
        }))
    .then(|| {
        let phrase = scene.phrase();
        let at = phrase.inside(1).map_or(1, |(_, after)| after) + 1;
        let subject = phrase
            .name(at)
            .map_or_else(String::new, |(name, _)| name.to_string());
        let what = phrase.at(at - 1).to_lowercase();
        Hit::new(
            &subject,
            format!("reads and writes wait while {what} `{subject}` is indexed anew"),
        )
    })
}
