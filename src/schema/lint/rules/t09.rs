//! T09: transaction control in a migration that runs in a transaction.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds transaction control in a migration that runs in a transaction.
pub(crate) const RULE: Rule = Rule {
    code: "T09",
    name: "transaction-in-migration",
    severity: Severity::Error,
    required: false,
    why: "af-db opens and ends the transaction that holds a migration and its history row. A COMMIT in between applies half of it without a record, and a ROLLBACK undoes the record alone.",
    safe: "remove it; a migration that must commit in between begins with `-- af-db: no-transaction`",
    versions: "all",
    bad: "BEGIN; ALTER TABLE t ADD a int; COMMIT;",
    good: "ALTER TABLE t ADD a int;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let control = matches!(
        scene.class(),
        Class::Begin | Class::Commit | Class::Rollback | Class::TwoPhase
    );
    (control && scene.script.in_transaction).then(|| {
        let verb = scene.line().statement.verb();
        Hit::new(&verb, format!("`{verb}` ends or nests the transaction that holds this migration and its history row"))
    })
}
