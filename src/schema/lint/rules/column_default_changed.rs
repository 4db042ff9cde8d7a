//! C07: a default or NOT NULL changed under running code.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "C07",
    name: "column-default-changed",
    severity: Severity::Note,
    required: false,
    why: "New rows get another value, or null, which running code may not expect.",
    safe: "First release code that handles both, then change it",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN state DROP NOT NULL;",
    good: "ALTER TABLE orders ADD COLUMN state text;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AlterColumn(column, rest) = &action.kind else {
        return None;
    };
    let table = &action.table;
    // A column added in the same file has no readers yet.
    let message = if rest.begins(&["drop", "not", "null"]) {
        format!("Running code that reads `{column}` may now get nulls")
    } else if rest.begins(&["set", "default"])
        && !context.is_before(&StatementFact::AddsColumn(table.clone(), column.clone()))
    {
        format!("New rows that do not set `{column}` get a different value")
    } else {
        return None;
    };
    context
        .exists_before(table)
        .then(|| Hit::new(format!("{table}.{column}"), message))
}
