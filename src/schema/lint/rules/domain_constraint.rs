//! S13: a constraint added to a domain.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "S13",
    name: "domain-constraint",
    severity: Severity::Warn,
    required: false,
    why: "Each table that uses the domain is scanned under a SHARE lock (blocks writes).",
    safe: "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in the next migration",
    versions: "all",
    bad: "ALTER DOMAIN email ADD CONSTRAINT has_at CHECK (value LIKE '%@%');",
    good: "ALTER DOMAIN email ADD CONSTRAINT has_at CHECK (value LIKE '%@%') NOT VALID;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    if context.class() != Class::Alter(Object::Domain) {
        return None;
    }
    let (domain, after) = phrase.name(2)?;
    let adds = phrase.is(after, "add") && !phrase.has(&["not", "valid"]);
    let requires = phrase.are(after, &["set", "not", "null"]);
    ((adds || requires) && context.exists_before(&domain)).then(|| {
        Hit::new(
            &domain,
            format!(
                "Scans each table that uses domain `{domain}` under a SHARE lock (blocks writes)"
            ),
        )
    })
}
