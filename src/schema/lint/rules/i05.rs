//! I05: CREATE INDEX CONCURRENTLY IF NOT EXISTS.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds CREATE INDEX CONCURRENTLY IF NOT EXISTS.
pub(crate) const RULE: Rule = Rule {
    code: "I05",
    name: "concurrently-if-not-exists",
    severity: Severity::Warn,
    required: false,
    why: "A build that failed leaves an invalid index behind. A second try finds the name taken, does nothing and succeeds: the index is never used, and still slows every write.",
    safe: "DROP INDEX CONCURRENTLY IF EXISTS the name first, then create it without IF NOT EXISTS",
    versions: "all",
    bad: "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a);",
    good: "CREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let unsure = phrase.has(&["concurrently", "if", "not", "exists"]);
    if scene.class() != (Class::CreateIndex { concurrently: true }) || !unsure {
        return None;
    }
    let name = known::new_index(phrase)?.0?;
    let dropped = scene.is_before(&Fact::DropsIndex(name.clone()));
    (!dropped).then(|| {
        Hit::new(
            &name,
            format!(
                "if an earlier try failed, its invalid index `{name}` stays and this does nothing"
            ),
        )
        .help(format!(
            "DROP INDEX CONCURRENTLY IF EXISTS {name}; then CREATE INDEX CONCURRENTLY {name} …"
        ))
    })
}
