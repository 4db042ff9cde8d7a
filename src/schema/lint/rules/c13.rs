//! C13: a value added to an enum that running code does not know.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a value added to an enum that running code does not know.
pub(crate) const RULE: Rule = Rule {
    code: "C13",
    name: "add-enum-value",
    severity: Severity::Note,
    required: false,
    why: "Code that reads the type meets a value it has no case for; and a value once added can never be taken away.",
    safe: "release code that knows the value first; say BEFORE or AFTER where the order matters",
    versions: "all",
    bad: "ALTER TYPE state ADD VALUE 'gone';",
    good: "CREATE TYPE state AS ENUM ('new', 'gone');",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::AlterTypeAddValue {
        return None;
    }
    let phrase = scene.phrase();
    let (name, _) = phrase.name(2)?;
    let at = phrase.find(&["value"])? + 1;
    let value = phrase.at(phrase.skip(at, &["if", "not", "exists"]));
    scene.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("code that reads `{name}` may have no case for {value}, and it can never be taken away"),
        )
    })
}
