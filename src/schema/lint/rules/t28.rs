//! T28: a file that waits for locks without an end.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::rules::t03;
use crate::lint::scene::{Line, Scene};

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
    let around = &scene.script.around;
    let setting = around.lock_timeout_before(scene.index)?;
    let is_off = switched_off(&scene.script.lines[setting]);
    // Said once, at the first table.
    let is_said = !around.closed_before(scene.index).is_empty();
    (is_off && !is_said).then(|| {
        Hit::new(
            &table,
            format!("the lock on `{table}` is waited for without an end, and everybody behind it waits as well"),
        )
    })
}

/// Says whether a line that speaks of the time limit puts it away.
fn switched_off(line: &Line<'_>) -> bool {
    let phrase = line.phrase();
    let Some(at) = phrase
        .find(&["lock_timeout"])
        .filter(|_| phrase.is(0, "set"))
    else {
        return false;
    };
    let value = phrase.at(at + 2).trim_matches('\'').trim();
    let number: String = value.chars().take_while(char::is_ascii_digit).collect();
    number.parse() == Ok(0)
}
