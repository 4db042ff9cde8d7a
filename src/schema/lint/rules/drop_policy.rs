//! X02: a policy dropped without a replacement.

use crate::finding::Severity;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X02",
    name: "drop-policy",
    severity: Severity::Warn,
    required: false,
    why: "Without the policy, either the rows are no longer visible or a restriction is missing.",
    safe: "Create its replacement in the same migration",
    versions: "all",
    bad: "DROP POLICY tenant ON orders;",
    good: "DROP POLICY tenant ON orders; CREATE POLICY tenant ON orders USING (tenant_id = current_tenant());",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Drop(Object::Policy) || context.file.source.down {
        return None;
    }
    let phrase = context.phrase();
    let name = phrase.ident(phrase.skip(2, &["if", "exists"]))?;
    let (table, _) = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1))?;
    let again = context.is_after(&StatementFact::CreatesPolicyOn(table.clone()))
        || context.is_after(&StatementFact::DropsTable(table.clone()));
    (!again && context.exists_before(&table)).then(|| {
        Hit::new(
            format!("{name} on {table}"),
            format!("Policy `{name}` on `{table}` is dropped without a replacement"),
        )
    })
}
