//! I02: an index dropped while everyone waits.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds an index dropped while everyone waits.
pub(crate) const RULE: Rule = Rule {
    code: "I02",
    name: "drop-index",
    severity: Severity::Warn,
    required: false,
    why: "DROP INDEX needs a lock that nobody shares: it waits for every query of the table, and every later query waits behind it.",
    safe: "DROP INDEX CONCURRENTLY, alone in a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "DROP INDEX orders_created_idx;",
    good: "DROP INDEX CONCURRENTLY orders_created_idx;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class()
        != (Class::DropIndex {
            concurrently: false,
        })
    {
        return None;
    }
    let (name, start) = known::dropped(scene.phrase(), 2)
        .into_iter()
        .find(|(name, _)| {
            let table = scene.known.indexes.get(&name.name);
            scene.exists_before(name) && table.is_none_or(|table| scene.exists_before(table))
        })?;
    Some(
        Hit::new(&name, format!("dropping `{name}` waits for every query of its table, and later ones wait behind it"))
            .start(start)
            .help(format!("DROP INDEX CONCURRENTLY {name}, alone in a migration that begins with `-- af-db: no-transaction`")),
    )
}
