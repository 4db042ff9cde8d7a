//! R15: a table clustered.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a table clustered.
pub(crate) const RULE: Rule = Rule {
    code: "R15",
    name: "cluster",
    severity: Severity::Warn,
    required: false,
    why: "CLUSTER rewrites the table in the order of an index while nobody can use it.",
    safe: "use pg_repack, which holds its lock only for an instant",
    versions: "all",
    bad: "CLUSTER orders USING orders_created_idx;",
    good: "ALTER TABLE orders CLUSTER ON orders_created_idx;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    (scene.class() == Class::Cluster).then(|| {
        let phrase = scene.phrase();
        let name = phrase.name(phrase.skip(1, &["verbose"]));
        let subject = name.map_or_else(
            || "every clustered table".to_owned(),
            |(name, _)| name.to_string(),
        );
        Hit::new(
            &subject,
            format!("`{subject}` is rewritten while nobody can use it"),
        )
    })
}
