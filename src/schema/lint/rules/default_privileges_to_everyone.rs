//! X07: default privileges granted to PUBLIC or anon.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "X07",
    name: "default-privileges-to-everyone",
    severity: Severity::Warn,
    required: false,
    why: "Objects created later are open to PUBLIC or anon without a visible GRANT.",
    safe: "Grant on each object when it is created, or to named roles",
    versions: "all",
    bad: "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
    good: "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reporting;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let to = phrase
        .find(&["to"])
        .filter(|_| context.class() == Class::AlterDefaultPrivileges && phrase.has(&["grant"]))?;
    let role = phrase
        .until(to + 1, &["with"])
        .list()
        .into_iter()
        .filter_map(|part| part.ident(0))
        .find(|role| role == "public" || role == "anon")?;
    Some(Hit::new(
        &role,
        format!("Objects created later are open to `{role}` without a visible GRANT"),
    ))
}
