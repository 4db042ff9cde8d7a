//! X07: default privileges for everyone.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds default privileges for everyone.
pub(crate) const RULE: Rule = Rule {
    code: "X07",
    name: "default-privileges-to-everyone",
    severity: Severity::Warn,
    required: false,
    why: "Every object made from now on is open to PUBLIC or anon, and nobody will see a grant for it.",
    safe: "grant on each object when it is made, or to named roles",
    versions: "all",
    bad: "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
    good: "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reporting;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let to = phrase
        .find(&["to"])
        .filter(|_| scene.class() == Class::AlterDefaultPrivileges && phrase.has(&["grant"]))?;
    let role = phrase
        .until(to + 1, &["with"])
        .list()
        .into_iter()
        .filter_map(|part| part.ident(0))
        .find(|role| role == "public" || role == "anon")?;
    Some(Hit::new(
        &role,
        format!(
            "every object made from now on is open to `{role}`, without a grant that anyone sees"
        ),
    ))
}
