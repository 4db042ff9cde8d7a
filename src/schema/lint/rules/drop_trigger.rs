//! D11: a trigger or rule dropped without a replacement.

use crate::finding::Severity;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D11",
    name: "drop-trigger",
    severity: Severity::Note,
    required: false,
    why: "The trigger may implement an audit log, totals or checks, which no longer run for new rows.",
    safe: "Create its replacement in the same migration",
    versions: "all",
    bad: "DROP TRIGGER audit ON orders;",
    good: "DROP TRIGGER audit ON orders; CREATE TRIGGER audit AFTER INSERT ON orders EXECUTE FUNCTION f();",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let (Class::Drop(Object::Trigger) | Class::Drop(Object::Rule)) = context.class() else {
        return None;
    };
    let phrase = context.phrase();
    let name = phrase.ident(phrase.skip(2, &["if", "exists"]))?;
    let again = context.is_after(&StatementFact::CreatesTrigger(name.clone()));
    let table = phrase
        .find(&["on"])
        .and_then(|on| phrase.name(on + 1))
        .map(|(table, _)| table)?;
    (!again && context.exists_before(&table)).then(|| {
        Hit::new(
            &name,
            format!("`{name}` no longer runs for new rows of `{table}`"),
        )
    })
}
