//! S06: a unique constraint or primary key that builds its index.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S06",
    name: "add-unique",
    severity: Severity::Warn,
    required: false,
    why: "The index is built under an ACCESS EXCLUSIVE lock (blocks reads and writes).",
    safe: "CREATE UNIQUE INDEX CONCURRENTLY in a separate migration, then ADD CONSTRAINT … USING INDEX",
    versions: "all",
    bad: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
    good: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_idx;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let builds = matches!(
        constraint.kind,
        ConstraintKind::Unique | ConstraintKind::Primary
    ) && constraint.using_index.is_none();
    (builds && context.exists_before(table)).then(|| {
        let columns = constraint.columns.join(", ");
        let kind = if constraint.kind == ConstraintKind::Primary { "PRIMARY KEY" } else { "UNIQUE" };
        let index = format!("{}_{}_idx", table.name, constraint.columns.join("_"));
        Hit::new(
            table,
            format!("Adding the {} builds an index on `{table}` under an ACCESS EXCLUSIVE lock (blocks reads and writes)", constraint.name_or_kind()),
        )
        .help(format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} ({columns}); then, in the next migration, ALTER TABLE {table} ADD {kind} USING INDEX {index}"
        ))
    })
}
