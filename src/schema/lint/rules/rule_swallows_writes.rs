//! D15: a rule that discards writes (DO INSTEAD NOTHING).

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "D15",
    name: "rule-swallows-writes",
    severity: Severity::Error,
    required: false,
    why: "Writes succeed without an error and report 0 rows, so clients do not notice that nothing was stored.",
    safe: "Reject the write: REVOKE the privilege, or raise an error in a trigger",
    versions: "all",
    bad: "CREATE RULE quiet AS ON INSERT TO orders DO INSTEAD NOTHING;",
    good: "REVOKE INSERT ON orders FROM app;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Create(Object::Rule) {
        return None;
    }
    let phrase = context.phrase();
    let at = phrase.find(&["instead", "nothing"])?;
    let on = phrase.find(&["on"])?;
    let (table, _) = phrase.name(phrase.find(&["to"])? + 1)?;
    // A view needs such a rule next to its conditional rules.
    let is_view = context.declared.other_objects.contains_key(&table);
    if is_view || !context.exists_before(&table) {
        return None;
    }
    let quantity = if phrase.range(0, at).has(&["where"]) {
        "Some"
    } else {
        "All"
    };
    let event = phrase.at(on + 1).to_ascii_uppercase();
    let message = format!("{quantity} rows of {event} on `{table}` are discarded without an error");
    let hit = Hit::new(declared_so_far::created(phrase).unwrap_or(table), message);
    Some(hit.start(phrase.from(at).start()))
}
