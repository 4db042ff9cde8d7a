//! S13: a constraint added to a domain.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a constraint added to a domain.
pub(crate) const RULE: Rule = Rule {
    code: "S13",
    name: "domain-constraint",
    severity: Severity::Warn,
    required: false,
    why: "Every table that uses the domain is read under a lock that refuses writes.",
    safe: "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in the next migration",
    versions: "all",
    bad: "ALTER DOMAIN email ADD CONSTRAINT has_at CHECK (value LIKE '%@%');",
    good: "ALTER DOMAIN email ADD CONSTRAINT has_at CHECK (value LIKE '%@%') NOT VALID;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    if scene.class() != Class::Alter(Object::Domain) {
        return None;
    }
    let (domain, after) = phrase.name(2)?;
    let adds = phrase.is(after, "add") && !phrase.has(&["not", "valid"]);
    let requires = phrase.are(after, &["set", "not", "null"]);
    ((adds || requires) && scene.exists_before(&domain)).then(|| {
        Hit::new(
            &domain,
            format!("every table that uses `{domain}` is read while it refuses writes"),
        )
    })
}
