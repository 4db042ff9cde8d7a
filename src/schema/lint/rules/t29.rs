//! T29: a migration that ends other people's sessions.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a migration that ends other people's sessions.
pub(crate) const RULE: Rule = Rule {
    code: "T29",
    name: "ends-sessions",
    severity: Severity::Warn,
    required: false,
    why: "Whoever the query finds when it runs in production loses the work of a transaction, and nobody was asked; a shadow has nobody to end, so nothing shows it beforehand.",
    safe: "leave it out: af-db tries again, names who is in the way, and leaves the rest to whoever is on duty",
    versions: "all",
    bad: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app';",
    good: "SELECT pid FROM pg_stat_activity WHERE datname = 'app';",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let called = |name: &&&str| match scene.class() {
        // The body is text to the server as well.
        Class::Do => scene
            .line()
            .statement
            .text
            .to_ascii_lowercase()
            .contains(*name),
        _ => (0..phrase.len()).any(|at| phrase.is(at, name) && phrase.inside(at + 1).is_some()),
    };
    let name = ["pg_terminate_backend", "pg_cancel_backend"]
        .iter()
        .find(called)?;
    Some(Hit::new(
        name,
        format!("`{name}` ends what others are doing at that moment"),
    ))
}
