//! X16: an event trigger dropped or switched off.

use crate::finding::Severity;
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
    let (name, _) = phrase.name(phrase.skip(3, &["if", "exists"]))?;
    let again = scene.later().iter().any(|line| {
        matches!(
            line.class(),
            Class::Create(Object::EventTrigger) | Class::Alter(Object::EventTrigger)
        ) && line.phrase().contains(&[&name.name])
            && !line.phrase().has(&["disable"])
    });
    (off && !again && scene.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("changes of the schema from here on pass `{name}` unseen"),
        )
    })
}
