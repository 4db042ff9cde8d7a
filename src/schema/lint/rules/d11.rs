//! D11: a trigger or rule dropped and not made again.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a trigger or rule dropped and not made again.
pub(crate) const RULE: Rule = Rule {
    code: "D11",
    name: "drop-trigger",
    severity: Severity::Note,
    required: false,
    why: "It may hold a rule of the business: audit, totals, checks. Rows written from now on miss it.",
    safe: "make its replacement in the same migration",
    versions: "all",
    bad: "DROP TRIGGER audit ON orders;",
    good: "DROP TRIGGER audit ON orders; CREATE TRIGGER audit AFTER INSERT ON orders EXECUTE FUNCTION f();",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let (Class::Drop(Object::Trigger) | Class::Drop(Object::Rule)) = scene.class() else {
        return None;
    };
    let phrase = scene.phrase();
    let name = phrase.ident(phrase.skip(2, &["if", "exists"]))?;
    let again = scene.is_after(&Fact::CreatesTrigger(name.clone()));
    let table = phrase
        .find(&["on"])
        .and_then(|on| phrase.name(on + 1))
        .map(|(table, _)| table)?;
    (!again && scene.exists_before(&table)).then(|| {
        Hit::new(
            &name,
            format!("rows of `{table}` written from now on miss what `{name}` did"),
        )
    })
}
