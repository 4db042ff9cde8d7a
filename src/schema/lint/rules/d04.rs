//! D04: a DROP … CASCADE.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a DROP … CASCADE.
pub(crate) const RULE: Rule = Rule {
    code: "D04",
    name: "cascade",
    severity: Severity::Warn,
    required: false,
    why: "It also drops views, foreign keys and functions that depend on it, of which the migration says nothing.",
    safe: "drop the dependent objects by name first, and leave CASCADE away",
    versions: "all",
    bad: "DROP VIEW totals CASCADE;",
    good: "DROP VIEW totals;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let elsewhere = matches!(
        scene.class(),
        Class::Drop(Object::Schema | Object::Extension) | Class::DropOwned | Class::Truncate
    );
    let drops =
        phrase.is(0, "drop") || matches!(scene.class(), Class::Alter(_)) && phrase.has(&["drop"]);
    let at = phrase.find(&["cascade"]).filter(|_| drops && !elsewhere)?;
    let from = if phrase.is(1, "materialized") || phrase.is(1, "foreign") {
        3
    } else {
        2
    };
    let (name, _) = known::dropped(phrase, from).into_iter().next()?;
    scene.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("whatever depends on what is dropped of `{name}` goes with it, unseen"),
        )
        .start(phrase.from(at).start())
    })
}
