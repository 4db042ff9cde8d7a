//! S18: a partition detached while everyone waits.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a partition detached while everyone waits.
pub(crate) const RULE: Rule = Rule {
    code: "S18",
    name: "detach-partition",
    severity: Severity::Warn,
    required: false,
    why: "DETACH PARTITION locks the parent and the partition, so that nobody can use them until the transaction ends.",
    safe: "DETACH PARTITION … CONCURRENTLY in a no-transaction migration; it needs a parent without a default partition",
    versions: "all",
    bad: "ALTER TABLE events DETACH PARTITION events_2020;",
    good: "ALTER TABLE events DETACH PARTITION events_2020 CONCURRENTLY;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::Detach(partition) = &action.does else {
        return None;
    };
    let gentle = action.phrase.has(&["concurrently"]) || action.phrase.has(&["finalize"]);
    (!gentle && scene.exists_before(&action.table)).then(|| {
        Hit::new(partition, format!("nobody can use `{}` while `{partition}` is detached", action.table))
            .help(format!("ALTER TABLE {} DETACH PARTITION {partition} CONCURRENTLY, in a migration that begins with `-- af-db: no-transaction`", action.table))
    })
}
