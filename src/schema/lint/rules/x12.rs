//! X12: a role that passes by every guard, or a password in the text.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a role that passes by every guard, or a password in the text.
pub(crate) const RULE: Rule = Rule {
    code: "X12",
    name: "powerful-role",
    severity: Severity::Error,
    required: false,
    why: "SUPERUSER and BYPASSRLS pass by every policy; a password in a migration stays in version control, in the server's log and in the history.",
    safe: "make such roles by hand, and set passwords with \\\\password or from a secret",
    versions: "all",
    bad: "CREATE ROLE app LOGIN PASSWORD 'secret';",
    good: "CREATE ROLE app LOGIN;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let (Class::Create(Object::Role) | Class::Alter(Object::Role)) = scene.class() else {
        return None;
    };
    let phrase = scene.phrase();
    let name = phrase.ident(phrase.skip(2, &["if", "exists"]))?;
    if let Some(power) = ["superuser", "bypassrls"]
        .iter()
        .find(|word| phrase.contains(&[word]))
    {
        return Some(Hit::new(
            &name,
            format!("`{name}` passes by every policy ({})", power.to_uppercase()),
        ));
    }
    let at = phrase
        .find(&["password"])
        .filter(|at| !phrase.is(at + 1, "null"))?;
    Some(
        Hit::new(
            &name,
            format!(
                "the password of `{name}` stands in the text, and so in version control and the log"
            ),
        )
        .start(phrase.from(at).start()),
    )
}
