//! T10: a statement that cannot run in a transaction.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a statement that cannot run in a transaction.
pub(crate) const RULE: Rule = Rule {
    code: "T10",
    name: "not-in-transaction",
    severity: Severity::Error,
    required: false,
    why: "PostgreSQL refuses it inside the transaction of a migration.",
    safe: "put it alone into a migration that begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "VACUUM orders; -- without the directive",
    good: "-- af-db: no-transaction\nVACUUM orders;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let elsewhere = matches!(
        scene.class(),
        Class::CreateIndex { .. }
            | Class::DropIndex { .. }
            | Class::Reindex { concurrently: true }
            | Class::Alter(Object::Table)
    );
    if !scene.script.in_transaction || elsewhere {
        return None;
    }
    let reason = scene.line().statement.cannot_run_in_transaction()?;
    let verb = scene.line().statement.verb();
    Some(Hit::new(
        verb,
        format!("{reason}, so PostgreSQL refuses it in the transaction of this migration"),
    ))
}
