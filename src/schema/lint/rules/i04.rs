//! I04: a CONCURRENTLY statement in a migration that runs in a transaction.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a CONCURRENTLY statement in a migration that runs in a transaction.
pub(crate) const RULE: Rule = Rule {
    code: "I04",
    name: "concurrently-in-transaction",
    severity: Severity::Error,
    required: false,
    why: "It commits in between, so PostgreSQL refuses it inside a transaction.",
    safe: "put it alone into a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "CREATE INDEX CONCURRENTLY i ON t (a); -- without the directive",
    good: "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let concurrent = matches!(
        scene.class(),
        Class::CreateIndex { .. }
            | Class::DropIndex { .. }
            | Class::Reindex { .. }
            | Class::Alter(Object::Table)
    );
    if !scene.script.in_transaction || !concurrent {
        return None;
    }
    let reason = scene.line().statement.cannot_run_in_transaction()?;
    let verb = scene.line().statement.verb();
    Some(Hit::new(
        verb,
        format!("{reason}, so PostgreSQL refuses it in the transaction of this migration"),
    ))
}
