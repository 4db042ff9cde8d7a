//! C19: a view or function dropped and not made again.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Name;

/// Finds a view or function dropped and not made again.
pub(crate) const RULE: Rule = Rule {
    code: "C19",
    name: "drop-view-or-function",
    severity: Severity::Warn,
    required: false,
    why: "Code that still reads the view or calls the function fails from here on, and its grants go with it.",
    safe: "stop using it in every running version first; CREATE OR REPLACE where it only changes",
    versions: "all",
    bad: "DROP VIEW totals;",
    good: "CREATE OR REPLACE VIEW totals AS SELECT 1;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let Class::Drop(
        object @ (Object::View
        | Object::MaterializedView
        | Object::Function
        | Object::Procedure
        | Object::Routine),
    ) = scene.class()
    else {
        return None;
    };
    let phrase = scene.phrase();
    let from = if phrase.is(1, "materialized") { 3 } else { 2 };
    let again = |name: &Name| scene.is_after(&Fact::Creates(name.clone()));
    let (name, start) = known::dropped(phrase, from)
        .into_iter()
        .find(|(name, _)| scene.exists_before(name) && !again(name))?;
    let fails = match object {
        Object::View | Object::MaterializedView => "reads",
        _ => "calls",
    };
    let message = format!("code that {fails} `{name}` fails from here on");
    Some(Hit::new(&name, message).start(start))
}
