//! D13: a view dropped and made again.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a view dropped and made again.
pub(crate) const RULE: Rule = Rule {
    code: "D13",
    name: "recreate-view",
    severity: Severity::Note,
    required: false,
    why: "Its grants, comments, owner and security_invoker are lost with it, silently.",
    safe: "CREATE OR REPLACE VIEW where the columns allow it; else grant again in the same migration",
    versions: "all",
    bad: "DROP VIEW totals; CREATE VIEW totals AS SELECT 1;",
    good: "CREATE OR REPLACE VIEW totals AS SELECT 1;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let (Class::Drop(Object::View) | Class::Drop(Object::MaterializedView)) = scene.class() else {
        return None;
    };
    let phrase = scene.phrase();
    let from = if phrase.is(1, "materialized") { 3 } else { 2 };
    let (name, start) = known::dropped(phrase, from).into_iter().next()?;
    let made = scene.is_after(&Fact::CreatesView(name.clone()));
    let granted = scene.is_after(&Fact::Grants(name.name.to_ascii_lowercase()));
    (made && !granted && scene.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("the grants, comments and options of `{name}` are lost"),
        )
        .start(start)
    })
}
