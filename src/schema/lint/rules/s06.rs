//! S06: a unique constraint or primary key that builds its index.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a unique constraint or primary key that builds its index.
pub(crate) const RULE: Rule = Rule {
    code: "S06",
    name: "add-unique",
    severity: Severity::Warn,
    required: false,
    why: "The index is built while nobody can use the table.",
    safe: "CREATE UNIQUE INDEX CONCURRENTLY in a migration of its own, then ADD CONSTRAINT … USING INDEX",
    versions: "all",
    bad: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
    good: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_idx;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    let builds =
        matches!(constraint.kind, Kind::Unique | Kind::Primary) && constraint.using_index.is_none();
    (builds && scene.exists_before(table)).then(|| {
        let columns = constraint.columns.join(", ");
        let kind = if constraint.kind == Kind::Primary { "PRIMARY KEY" } else { "UNIQUE" };
        let index = format!("{}_{}_idx", table.name, constraint.columns.join("_"));
        Hit::new(
            table,
            format!("the {} builds its index while nobody can use `{table}`", constraint.name_or_kind()),
        )
        .help(format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} ({columns}); then, in the next migration, ALTER TABLE {table} ADD {kind} USING INDEX {index}"
        ))
    })
}
