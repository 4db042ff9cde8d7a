//! T03: several tables locked against everyone in one transaction.

use crate::finding::Severity;
use crate::lint::alter::{self, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::{Line, Scene};
use crate::sql::class::{Class, Object};
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
    let first = scene
        .earlier()
        .iter()
        .find_map(|line| altered(scene, line).filter(|other| *other != table))?;
    let before = scene
        .earlier()
        .iter()
        .filter_map(|line| altered(scene, line));
    let mut others: Vec<Name> = before.filter(|other| *other != first).collect();
    others.dedup();
    // Said once, at the second table.
    (scene.script.in_transaction && others.is_empty()).then(|| {
        Hit::new(
            &table,
            format!("`{first}` stays closed to everyone while the lock on `{table}` is waited for"),
        )
    })
}

/// Gives the table that was there before and that an `ALTER TABLE` closes to everyone.
pub(super) fn altered(scene: &Scene<'_>, line: &Line<'_>) -> Option<Name> {
    if line.class() != Class::Alter(Object::Table) {
        return None;
    }
    let alter = alter::read(line.phrase())?;
    let gentle = |action: &alter::Action<'_>| {
        matches!(action.does, Does::Validate(_)) || action.phrase.begins(&["set", "("])
    };
    let closes = !alter.actions.iter().all(gentle);
    (closes && scene.exists_before(&alter.table)).then_some(alter.table)
}
