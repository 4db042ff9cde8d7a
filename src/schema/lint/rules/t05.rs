//! T05: rows changed in the transaction that altered their table.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;
use crate::sql::phrase::Name;

/// Finds rows changed in the transaction that altered their table.
pub(crate) const RULE: Rule = Rule {
    code: "T05",
    name: "backfill-under-lock",
    severity: Severity::Warn,
    required: false,
    why: "ALTER TABLE keeps its lock until the transaction ends: nobody can use the table while the rows are changed.",
    safe: "put the change of rows into a migration of its own, in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN a int; UPDATE orders SET a = 1;",
    good: "UPDATE orders SET a = 1 WHERE id BETWEEN 1 AND 1000; -- a migration of its own",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let table = written(scene)?;
    if !scene.script.in_transaction || !scene.exists_before(&table) {
        return None;
    }
    let altered = scene.is_before(&Fact::AltersTable(table.clone()));
    altered.then(|| {
        Hit::new(
            &table,
            format!(
                "`{table}` was altered before, so nobody can use it while these rows are changed"
            ),
        )
    })
}
/// Gives the table whose rows an `UPDATE` or `DELETE` changes.
fn written(scene: &Scene<'_>) -> Option<Name> {
    let phrase = scene.phrase();
    let at = match scene.class() {
        Class::Update => phrase.find(&["update"])? + 1,
        Class::Delete => phrase.find(&["delete", "from"])? + 2,
        _ => return None,
    };
    phrase
        .name(phrase.skip(at, &["only"]))
        .map(|(name, _)| name)
}
