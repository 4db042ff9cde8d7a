//! I01: an index built while nobody can write.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;
use crate::sql::phrase::Phrase;

/// Finds an index built while nobody can write.
pub(crate) const RULE: Rule = Rule {
    code: "I01",
    name: "create-index",
    severity: Severity::Warn,
    required: false,
    why: "CREATE INDEX refuses writes to the table for as long as the build takes.",
    safe: "CREATE INDEX CONCURRENTLY, alone in a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "CREATE INDEX orders_created_idx ON orders (created);",
    good: "CREATE INDEX CONCURRENTLY orders_created_idx ON orders (created);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class()
        != (Class::CreateIndex {
            concurrently: false,
        })
    {
        return None;
    }
    let (name, table, _) = known::new_index(scene.phrase())?;
    let partitioned = scene
        .known
        .tables
        .get(&table)
        .is_some_and(|table| table.partitioned);
    if !scene.exists_before(&table) || scene.phrase().has(&["on", "only"]) {
        return None;
    }
    let hit = Hit::new(
        name.unwrap_or_else(|| table.to_string()),
        format!("`{table}` refuses writes while the index is built"),
    );
    Some(if partitioned {
        hit.help(format!(
            "CREATE INDEX … ON ONLY {table}, then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX … ATTACH PARTITION"
        ))
    } else {
        hit.help(format!(
            "{}, alone in a migration that begins with `-- af-db: no-transaction`",
            concurrent(scene.phrase())
        ))
    })
}
/// Spells the statement with `CONCURRENTLY`.
fn concurrent(phrase: Phrase<'_>) -> String {
    let at = usize::from(phrase.is(1, "unique")) + 2;
    format!(
        "{} CONCURRENTLY {}",
        phrase.range(0, at).text(),
        phrase.from(at).text()
    )
}
