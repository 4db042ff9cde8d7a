//! S14: a partition attached.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a partition attached.
pub(crate) const RULE: Rule = Rule {
    code: "S14",
    name: "attach-partition",
    severity: Severity::Note,
    required: false,
    why: "Unless a valid CHECK proves its bounds, every row of the new partition is read while nobody can use it; a default partition is locked and read as well.",
    safe: "first add and validate a CHECK that says the same as the bounds, and drop it afterwards",
    versions: "all",
    bad: "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM (1) TO (2);",
    good: "CREATE TABLE events_2025 (LIKE events);",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::Attach(partition) = &action.does else {
        return None;
    };
    scene.exists_before(partition).then(|| {
        Hit::new(
            partition,
            format!("every row of `{partition}` is read while nobody can use it, unless a valid check proves its bounds"),
        )
    })
}
