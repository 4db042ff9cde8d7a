//! S17: a partition created with PARTITION OF.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "S17",
    name: "create-partition-of",
    severity: Severity::Note,
    required: false,
    why: "CREATE TABLE … PARTITION OF takes an ACCESS EXCLUSIVE lock on the parent (blocks reads and writes of all partitions), and scans the default partition if there is one.",
    safe: "CREATE TABLE … (LIKE parent INCLUDING ALL), then ALTER TABLE parent ATTACH PARTITION, which does not block reads and writes",
    versions: "all",
    bad: "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM (1) TO (2);",
    good: "CREATE TABLE events_2025 (LIKE events INCLUDING ALL);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Create(Object::Table) {
        return None;
    }
    let new = declared_so_far::new_table(context.phrase())?;
    let parent = new.partition_of?;
    context.exists_before(&parent).then(|| {
        Hit::new(&new.name, format!("Takes an ACCESS EXCLUSIVE lock on `{parent}`, blocking all partitions until the transaction ends"))
            .help(format!(
                "CREATE TABLE {0} (LIKE {parent} INCLUDING ALL); ALTER TABLE {parent} ATTACH PARTITION {0} FOR VALUES …",
                new.name
            ))
    })
}
