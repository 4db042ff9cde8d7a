//! C04: a value of an enum renamed.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a value of an enum renamed.
pub(crate) const RULE: Rule = Rule {
    code: "C04",
    name: "rename-enum-value",
    severity: Severity::Warn,
    required: false,
    why: "Code that runs while the migration does sends the old value, and fails at once.",
    safe: "add the new value, move the rows over, and leave the old one",
    versions: "all",
    bad: "ALTER TYPE state RENAME VALUE 'new' TO 'fresh';",
    good: "ALTER TYPE state ADD VALUE 'fresh';",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let at = phrase
        .find(&["rename", "value"])
        .filter(|_| scene.class() == Class::Alter(Object::Type))?;
    let (name, _) = phrase.name(2)?;
    scene.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!(
                "code that still sends {} fails the moment this commits",
                phrase.at(at + 2)
            ),
        )
    })
}
