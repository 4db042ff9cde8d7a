//! T06: an UPDATE of every row.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds an UPDATE of every row.
pub(crate) const RULE: Rule = Rule {
    code: "T06",
    name: "update-without-where",
    severity: Severity::Warn,
    required: false,
    why: "Every row is written anew in one transaction: it grows the table, floods the WAL and blocks other writers until the end.",
    safe: "update in batches by key, each in its own transaction; if every row must change at once, say so with WHERE true",
    versions: "all",
    bad: "UPDATE orders SET state = 'new';",
    good: "UPDATE orders SET state = 'new' WHERE state IS NULL;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Update {
        return None;
    }
    let phrase = scene.phrase();
    let at = phrase.find(&["update"])?;
    let (table, _) = phrase.name(phrase.skip(at + 1, &["only"]))?;
    (!phrase.from(at).has(&["where"]) && scene.exists_before(&table)).then(|| {
        Hit::new(
            &table,
            format!("every row of `{table}` is written anew in one transaction"),
        )
    })
}
