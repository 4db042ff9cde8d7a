//! X02: a policy dropped and not made again.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a policy dropped and not made again.
pub(crate) const RULE: Rule = Rule {
    code: "X02",
    name: "drop-policy",
    severity: Severity::Warn,
    required: false,
    why: "Without it either nobody sees the rows any more, or a restriction is gone.",
    safe: "make its replacement in the same migration",
    versions: "all",
    bad: "DROP POLICY tenant ON orders;",
    good: "DROP POLICY tenant ON orders; CREATE POLICY tenant ON orders USING (tenant_id = current_tenant());",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Drop(Object::Policy) || scene.script.source.down {
        return None;
    }
    let phrase = scene.phrase();
    let name = phrase.ident(phrase.skip(2, &["if", "exists"]))?;
    let (table, _) = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1))?;
    let again = scene.is_after(&Fact::CreatesPolicyOn(table.clone()))
        || scene.is_after(&Fact::DropsTable(table.clone()));
    (!again && scene.exists_before(&table)).then(|| {
        Hit::new(
            format!("{name} on {table}"),
            format!("`{table}` loses the policy `{name}` and gets none in its place"),
        )
    })
}
