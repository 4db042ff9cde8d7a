//! D15: a rule that does nothing instead of a write.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a rule on a table that does nothing instead of a write.
pub(crate) const RULE: Rule = Rule {
    code: "D15",
    name: "rule-swallows-writes",
    severity: Severity::Error,
    required: false,
    why: "The writes it names succeed, report no rows and leave nothing behind; nobody who writes can tell.",
    safe: "refuse the write: REVOKE it, or raise an error in a trigger",
    versions: "all",
    bad: "CREATE RULE quiet AS ON INSERT TO orders DO INSTEAD NOTHING;",
    good: "REVOKE INSERT ON orders FROM app;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Create(Object::Rule) {
        return None;
    }
    let phrase = scene.phrase();
    let at = phrase.find(&["instead", "nothing"])?;
    let on = phrase.find(&["on"])?;
    let (table, _) = phrase.name(phrase.find(&["to"])? + 1)?;
    // A view needs such a rule beside those with conditions.
    let is_view = scene.known.things.contains_key(&table);
    if is_view || !scene.exists_before(&table) {
        return None;
    }
    let some = if phrase.range(0, at).has(&["where"]) {
        "some "
    } else {
        ""
    };
    let event = phrase.at(on + 1).to_ascii_uppercase();
    let article = if event == "INSERT" { "an" } else { "a" };
    let message =
        format!("{some}rows of {article} {event} on `{table}` are thrown away without an error");
    let hit = Hit::new(known::created(phrase).unwrap_or(table), message);
    Some(hit.start(phrase.from(at).start()))
}
