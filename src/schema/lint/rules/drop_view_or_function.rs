//! C19: a view or function dropped without a replacement.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::QualifiedName;

pub(crate) const RULE: Rule = Rule {
    code: "C19",
    name: "drop-view-or-function",
    severity: Severity::Warn,
    required: false,
    why: "Code that still reads the view or calls the function fails immediately, and its grants are lost.",
    safe: "First release code that does not use it; use CREATE OR REPLACE to change it",
    versions: "all",
    bad: "DROP VIEW totals;",
    good: "CREATE OR REPLACE VIEW totals AS SELECT 1;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let Class::Drop(
        object @ (Object::View
        | Object::MaterializedView
        | Object::Function
        | Object::Procedure
        | Object::Routine),
    ) = context.class()
    else {
        return None;
    };
    let phrase = context.phrase();
    let from = if phrase.is(1, "materialized") { 3 } else { 2 };
    let again = |name: &QualifiedName| context.is_after(&StatementFact::Creates(name.clone()));
    let (name, start) = declared_so_far::dropped(phrase, from)
        .into_iter()
        .find(|(name, _)| context.exists_before(name) && !again(name))?;
    let uses = match object {
        Object::View | Object::MaterializedView => "reads",
        _ => "calls",
    };
    let message = format!("Running code that {uses} `{name}` fails");
    Some(Hit::new(&name, message).start(start))
}
