//! D08: a DELETE of every row.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a DELETE of every row.
pub(crate) const RULE: Rule = Rule {
    code: "D08",
    name: "delete-without-where",
    severity: Severity::Warn,
    required: false,
    why: "Every row is lost, in one transaction that blocks other writers until its end.",
    safe: "delete in batches what must go; if every row must, say so with WHERE true",
    versions: "all",
    bad: "DELETE FROM orders;",
    good: "DELETE FROM orders WHERE created < '2020-01-01';",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Delete {
        return None;
    }
    let phrase = scene.phrase();
    let at = phrase.find(&["delete", "from"])?;
    let (table, _) = phrase.name(phrase.skip(at + 2, &["only"]))?;
    (!phrase.from(at).has(&["where"]) && scene.exists_before(&table))
        .then(|| Hit::new(&table, format!("every row of `{table}` is lost")))
}
