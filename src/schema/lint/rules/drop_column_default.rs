//! D10: a default, an identity or a generation expression dropped.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "D10",
    name: "drop-column-default",
    severity: Severity::Note,
    required: false,
    why: "New rows get null, or fail, where code relied on the column being filled in.",
    safe: "First release code that sets the value itself, then drop it",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN state DROP DEFAULT;",
    good: "ALTER TABLE orders ALTER COLUMN state SET DEFAULT 'new';",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AlterColumn(column, rest) = &action.kind else {
        return None;
    };
    let what = ["default", "identity", "expression"]
        .into_iter()
        .find(|what| rest.begins(&["drop", what]))?;
    let table = &action.table;
    context.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Inserts that rely on the {what} of `{column}` write null or fail"),
        )
    })
}
