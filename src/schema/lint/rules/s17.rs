//! S17: a partition created directly under its parent.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a partition created directly under its parent.
pub(crate) const RULE: Rule = Rule {
    code: "S17",
    name: "create-partition-of",
    severity: Severity::Note,
    required: false,
    why: "CREATE TABLE … PARTITION OF locks the parent so that nobody can use any partition, and reads the default partition if there is one.",
    safe: "CREATE TABLE … (LIKE parent INCLUDING ALL), then ALTER TABLE parent ATTACH PARTITION, which lets reads and writes go on",
    versions: "all",
    bad: "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM (1) TO (2);",
    good: "CREATE TABLE events_2025 (LIKE events INCLUDING ALL);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Create(Object::Table) {
        return None;
    }
    let new = known::new_table(scene.phrase())?;
    let parent = new.partition_of?;
    scene.exists_before(&parent).then(|| {
        Hit::new(&new.name, format!("`{parent}` and all its partitions are locked for everyone until the transaction ends"))
            .help(format!(
                "CREATE TABLE {0} (LIKE {parent} INCLUDING ALL); ALTER TABLE {parent} ATTACH PARTITION {0} FOR VALUES …",
                new.name
            ))
    })
}
