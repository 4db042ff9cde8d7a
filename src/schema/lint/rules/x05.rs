//! X05: a policy that lets everything through, or trusts what the user can write.

use crate::finding::Severity;
use crate::lint::expression;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a policy that lets everything through, or trusts what the user can write.
pub(crate) const RULE: Rule = Rule {
    code: "X05",
    name: "policy-always-true",
    severity: Severity::Warn,
    required: false,
    why: "USING (true) opens every row to the roles of the policy; user_metadata in a token is written by the user.",
    safe: "compare with the tenant or the user of the request; read roles from app_metadata, never from user_metadata",
    versions: "all",
    bad: "CREATE POLICY everyone ON orders USING (true);",
    good: "CREATE POLICY own ON orders USING (user_id = auth.uid());",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let (Class::Create(Object::Policy) | Class::Alter(Object::Policy)) = scene.class() else {
        return None;
    };
    let phrase = scene.phrase();
    let name = phrase.ident(2)?;
    let (table, _) = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1))?;
    let subject = format!("{name} on {table}");
    let text = scene.line().statement.text;
    if text.contains("user_metadata") {
        return Some(Hit::new(
            subject,
            "the policy trusts `user_metadata`, which every user can write",
        ));
    }
    // A restrictive policy takes away, and service_role passes by policies anyway.
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
        let what = if reads { "reads" } else { "reads or writes" };
        Hit::new(
            subject,
            format!("whoever the policy is for {what} every row of `{table}`"),
        )
        .start(phrase.from(open).start())
    })
}
