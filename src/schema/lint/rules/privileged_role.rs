//! X12: a role with SUPERUSER or BYPASSRLS, or a password in plain text.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X12",
    name: "powerful-role",
    severity: Severity::Error,
    required: false,
    why: "SUPERUSER and BYPASSRLS bypass all policies; a password in a migration stays in version control, in the server log and in the history.",
    safe: "Create such roles by hand, and set passwords with \\password or from a secret",
    versions: "all",
    bad: "CREATE ROLE app LOGIN PASSWORD 'secret';",
    good: "CREATE ROLE app LOGIN;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let (Class::Create(Object::Role) | Class::Alter(Object::Role)) = context.class() else {
        return None;
    };
    let phrase = context.phrase();
    let name = phrase.ident(phrase.skip(2, &["if", "exists"]))?;
    if let Some(power) = ["superuser", "bypassrls"]
        .iter()
        .find(|word| phrase.contains(&[word]))
    {
        return Some(Hit::new(
            &name,
            format!(
                "Role `{name}` bypasses all policies ({})",
                power.to_uppercase()
            ),
        ));
    }
    let at = phrase
        .find(&["password"])
        .filter(|at| !phrase.is(at + 1, "null"))?;
    Some(
        Hit::new(
            &name,
            format!(
                "The password of `{name}` is in the migration, and so in version control and the server log"
            ),
        )
        .start(phrase.from(at).start()),
    )
}
