//! X05: a policy that is always true, or trusts user_metadata.

use crate::finding::Severity;
use crate::lint::expression;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X05",
    name: "policy-always-true",
    severity: Severity::Warn,
    required: false,
    why: "USING (true) exposes all rows to the roles of the policy; user_metadata in a token can be changed by the user.",
    safe: "Compare with the tenant or user of the request; read roles from app_metadata, not from user_metadata",
    versions: "all",
    bad: "CREATE POLICY everyone ON orders USING (true);",
    good: "CREATE POLICY own ON orders USING (user_id = auth.uid());",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let (Class::Create(Object::Policy) | Class::Alter(Object::Policy)) = context.class() else {
        return None;
    };
    let phrase = context.phrase();
    let name = phrase.ident(2)?;
    let (table, _) = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1))?;
    let subject = format!("{name} on {table}");
    let text = context.statement().statement.text;
    if text.contains("user_metadata") {
        return Some(Hit::new(
            subject,
            "The policy relies on `user_metadata`, which users can change",
        ));
    }
    // A restrictive policy only removes access, and service_role bypasses policies anyway.
    let narrow = phrase.has(&["as", "restrictive"]) || phrase.has(&["to", "service_role"]);
    let reads = phrase.has(&["for", "select"]);
    let open = [&["using"][..], &["with", "check"]]
        .into_iter()
        .find_map(|words| {
            let at = phrase.find(words)? + words.len();
            let (expression, _) = phrase.inside(at)?;
            expression::is_always_true(expression.text()).then_some(at)
        })?;
    (!narrow).then(|| {
        let what = if reads { "read" } else { "read or write" };
        Hit::new(
            subject,
            format!("The policy is always true: its roles can {what} all rows of `{table}`"),
        )
        .start(phrase.from(open).start())
    })
}
