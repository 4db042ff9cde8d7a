//! X13: a table's owner changed.

use crate::finding::Severity;
use crate::lint::alter::AlterAction;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "X13",
    name: "change-owner",
    severity: Severity::Note,
    required: false,
    why: "The owner bypasses RLS unless it is forced, and the change locks the table, its indexes and sequences.",
    safe: "Use FORCE ROW LEVEL SECURITY, or an owner that no application uses",
    versions: "all",
    bad: "ALTER TABLE orders OWNER TO app;",
    good: "GRANT SELECT ON orders TO app;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let table = &action.table;
    let owner = action
        .phrase
        .begins(&["owner", "to"])
        .then(|| action.phrase.ident(2))??;
    (context.exists_before(table) && context.declared.uses_rls).then(|| {
        Hit::new(
            table,
            format!("New owner `{owner}` bypasses the policies of `{table}` unless RLS is forced"),
        )
    })
}
