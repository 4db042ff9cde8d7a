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
    let last = scene.earlier().iter().rev().find_map(limit)?;
    // Said once, at the first table.
    let before = scene.earlier().iter();
    let said = before.filter(|line| t03::altered(scene, line).is_some());
    (last.is_off && said.count() == 0).then(|| {
        Hit::new(
            &table,
            format!("the lock on `{table}` is waited for without an end, and everybody behind it waits as well"),
        )
    })
}

struct Limit {
    is_off: bool,
}

/// Reads what a line does to the time limit, if anything.
fn limit(line: &Line<'_>) -> Option<Limit> {
    let phrase = line.phrase();
    let at = match line.class() {
        Class::Set { .. } => phrase.find(&["lock_timeout"])?,
        _ => return None,
    };
    let value = phrase.at(at + 2).trim_matches('\'').trim();
    let number: String = value.chars().take_while(char::is_ascii_digit).collect();
    Some(Limit {
        is_off: number.parse() == Ok(0),
    })
}
