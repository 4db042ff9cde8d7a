//! R12: a table switched to or from UNLOGGED.

use crate::finding::Severity;
use crate::lint::alter::Action;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a table switched to or from UNLOGGED.
pub(crate) const RULE: Rule = Rule {
    code: "R12",
    name: "set-logged",
    severity: Severity::Warn,
    required: false,
    why: "The whole table is rewritten while nobody can use it; an unlogged table is empty after a crash and on every standby.",
    safe: "make a new table and swap it in; never keep data that matters unlogged",
    versions: "all",
    bad: "ALTER TABLE orders SET UNLOGGED;",
    good: "CREATE UNLOGGED TABLE cache (k text);",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let logged = action.phrase.begins(&["set", "logged"]);
    let unlogged = action.phrase.begins(&["set", "unlogged"]);
    let table = &action.table;
    ((logged || unlogged) && scene.exists_before(table)).then(|| {
        let loss = if unlogged {
            ", and a crash empties it"
        } else {
            ""
        };
        Hit::new(
            table,
            format!("`{table}` is rewritten while nobody can use it{loss}"),
        )
    })
}
