//! T03: several tables locked against everyone in one transaction.

use crate::finding::Severity;
use crate::lint::around::closes;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::{Line, Scene};
use crate::sql::phrase::Name;

/// Finds several tables locked against everyone in one transaction.
pub(crate) const RULE: Rule = Rule {
    code: "T03",
    name: "several-tables-locked",
    severity: Severity::Note,
    required: false,
    why: "The lock on the first is kept while the others are waited for: a table nobody works on is closed all the same, and two that are taken in another order elsewhere deadlock.",
    safe: "one table a migration",
    versions: "all",
    bad: "ALTER TABLE a ADD COLUMN x int; ALTER TABLE b ADD COLUMN x int;",
    good: "ALTER TABLE a ADD COLUMN x int; ALTER TABLE a ADD COLUMN y int;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let table = altered(scene, scene.line())?;
    let [(_, first)] = scene.script.around.closed_before(scene.index) else {
        return None;
    };
    // Said once, at the second table.
    (scene.script.in_transaction && *first != table).then(|| {
        Hit::new(
            &table,
            format!("`{first}` stays closed to everyone while the lock on `{table}` is waited for"),
        )
    })
}

/// Gives the table that was there before and that an `ALTER TABLE` closes to everyone.
pub(super) fn altered(scene: &Scene<'_>, line: &Line<'_>) -> Option<Name> {
    closes(line).filter(|table| scene.exists_before(table))
}
