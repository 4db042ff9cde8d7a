//! S14: a partition attached.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S14",
    name: "attach-partition",
    severity: Severity::Note,
    required: false,
    why: "Unless a valid CHECK implies the partition bounds, the new partition is scanned under an ACCESS EXCLUSIVE lock (blocks reads and writes). A default partition is locked and scanned as well.",
    safe: "First add and validate a CHECK with the same condition as the bounds, and drop it afterwards",
    versions: "all",
    bad: "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM (1) TO (2);",
    good: "CREATE TABLE events_2025 (LIKE events);",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::Attach(partition) = &action.kind else {
        return None;
    };
    context.exists_before(partition).then(|| {
        Hit::new(
            partition,
            format!("Scans `{partition}` under an ACCESS EXCLUSIVE lock (blocks reads and writes), unless a valid CHECK implies its bounds"),
        )
    })
}
