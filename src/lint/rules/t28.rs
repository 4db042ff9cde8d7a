//! T28: a file that waits for locks without an end.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::rules::t03;
use crate::lint::scene::{Line, Scene};
use crate::sql::class::Class;

/// Finds a table that is closed to everyone after the file has put the time limit for locks away.
pub(crate) const RULE: Rule = Rule {
    code: "T28",
    name: "lock-timeout-off",
    severity: Severity::Warn,
    required: false,
    why: "Everybody who comes after the one that waits for a lock waits as well: behind one long reader, without a time limit, the table stands still until it has ended.",
    safe: "leave lock_timeout to af-db, which tries again and names who is in the way",
    versions: "all",
    bad: "SET lock_timeout = 0; ALTER TABLE t ADD COLUMN a int;",
    good: "SET lock_timeout = '2s'; ALTER TABLE t ADD COLUMN a int;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let table = t03::altered(scene, scene.line())?;
    let is_off = scene.earlier().iter().rev().find_map(switched_off)?;
    // Said once, at the first table.
    let mut before = scene.earlier().iter();
    let is_said = before.any(|line| t03::altered(scene, line).is_some());
    (is_off && !is_said).then(|| {
        Hit::new(
            &table,
            format!("the lock on `{table}` is waited for without an end, and everybody behind it waits as well"),
        )
    })
}

/// Says whether a line puts the time limit away; nothing where it does not touch it.
fn switched_off(line: &Line<'_>) -> Option<bool> {
    let Class::Set { .. } = line.class() else {
        return None;
    };
    let phrase = line.phrase();
    let at = phrase.find(&["lock_timeout"])?;
    let value = phrase.at(at + 2).trim_matches('\'').trim();
    let number: String = value.chars().take_while(char::is_ascii_digit).collect();
    Some(number.parse() == Ok(0))
}
