//! S18: a partition detached while everyone waits.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S18",
    name: "detach-partition",
    severity: Severity::Warn,
    required: false,
    why: "DETACH PARTITION takes an ACCESS EXCLUSIVE lock on the parent and the partition until the transaction ends.",
    safe: "DETACH PARTITION … CONCURRENTLY in a no-transaction migration; the parent must not have a default partition",
    versions: "all",
    bad: "ALTER TABLE events DETACH PARTITION events_2020;",
    good: "ALTER TABLE events DETACH PARTITION events_2020 CONCURRENTLY;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::Detach(partition) = &action.kind else {
        return None;
    };
    let gentle = action.phrase.has(&["concurrently"]) || action.phrase.has(&["finalize"]);
    (!gentle && context.exists_before(&action.table)).then(|| {
        Hit::new(partition, format!("Detaching `{partition}` takes an ACCESS EXCLUSIVE lock on `{}` (blocks reads and writes)", action.table))
            .help(format!("ALTER TABLE {} DETACH PARTITION {partition} CONCURRENTLY, in a migration that begins with `-- af-db: no-transaction`", action.table))
    })
}
