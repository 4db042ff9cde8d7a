//! X16: an event trigger disabled or dropped.

use crate::finding::Severity;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X16",
    name: "event-trigger-off",
    severity: Severity::Warn,
    required: false,
    why: "Event triggers enforce or audit schema changes; a disabled one does neither.",
    safe: "Enable it again in the same migration",
    versions: "all",
    bad: "DROP EVENT TRIGGER audit_ddl;",
    good: "ALTER EVENT TRIGGER audit_ddl ENABLE;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let off = match context.class() {
        Class::Drop(Object::EventTrigger) => true,
        Class::Alter(Object::EventTrigger) => phrase.has(&["disable"]),
        _ => false,
    };
    if !off {
        return None;
    }
    let (name, _) = phrase.name(phrase.skip(3, &["if", "exists"]))?;
    let again = context.is_after(&StatementFact::KeepsEventTrigger(
        name.name.to_ascii_lowercase(),
    ));
    (!again && context.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("Event trigger `{name}` no longer runs for schema changes"),
        )
    })
}
