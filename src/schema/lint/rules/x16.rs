//! X16: an event trigger dropped or switched off.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds an event trigger dropped or switched off.
pub(crate) const RULE: Rule = Rule {
    code: "X16",
    name: "event-trigger-off",
    severity: Severity::Warn,
    required: false,
    why: "Event triggers guard or record changes of the schema; without it they go unseen.",
    safe: "enable it again in the same migration",
    versions: "all",
    bad: "DROP EVENT TRIGGER audit_ddl;",
    good: "ALTER EVENT TRIGGER audit_ddl ENABLE;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let off = match scene.class() {
        Class::Drop(Object::EventTrigger) => true,
        Class::Alter(Object::EventTrigger) => phrase.has(&["disable"]),
        _ => false,
    };
    if !off {
        return None;
    }
    let (name, _) = phrase.name(phrase.skip(3, &["if", "exists"]))?;
    let again = scene.is_after(&Fact::KeepsEventTrigger(name.name.to_ascii_lowercase()));
    (!again && scene.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("changes of the schema from here on pass `{name}` unseen"),
        )
    })
}
