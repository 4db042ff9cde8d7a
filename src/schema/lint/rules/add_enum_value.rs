//! C13: an enum value added that running code does not handle.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;

pub(crate) const RULE: Rule = Rule {
    code: "C13",
    name: "add-enum-value",
    severity: Severity::Note,
    required: false,
    why: "Code that reads the type gets a value it may not handle, and an enum value cannot be removed.",
    safe: "First release code that handles the value; use BEFORE or AFTER if the order matters",
    versions: "all",
    bad: "ALTER TYPE state ADD VALUE 'gone';",
    good: "CREATE TYPE state AS ENUM ('new', 'gone');",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::AlterTypeAddValue {
        return None;
    }
    let phrase = context.phrase();
    let (name, _) = phrase.name(2)?;
    let at = phrase.find(&["value"])? + 1;
    let value = phrase.at(phrase.skip(at, &["if", "not", "exists"]));
    context.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("Running code may not handle new value {value} of `{name}`; enum values cannot be removed"),
        )
    })
}
