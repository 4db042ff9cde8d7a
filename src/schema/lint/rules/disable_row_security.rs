//! X01: row-level security disabled.

use crate::finding::Severity;
use crate::lint::alter::AlterAction;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "X01",
    name: "row-security-off",
    severity: Severity::Error,
    required: false,
    why: "Each role with a grant can read and write all rows.",
    safe: "Change the policies instead; if the table must be open, declare that in policies/",
    versions: "all",
    bad: "ALTER TABLE orders DISABLE ROW LEVEL SECURITY;",
    good: "ALTER TABLE orders ENABLE ROW LEVEL SECURITY;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let off = action
        .phrase
        .begins(&["disable", "row", "level", "security"]);
    let unforced = action
        .phrase
        .begins(&["no", "force", "row", "level", "security"]);
    let table = &action.table;
    if (!off && !unforced) || context.file.source.down {
        return None;
    }
    let on_again = context.is_after(&if off {
        StatementFact::EnablesRowSecurity(table.clone())
    } else {
        StatementFact::ForcesRowSecurity(table.clone())
    });
    (!on_again).then(|| {
        let message = if off {
            format!("RLS is disabled on `{table}`; any grant exposes all rows")
        } else {
            format!("RLS is no longer forced on `{table}`; its owner bypasses the policies")
        };
        Hit::new(table, message)
    })
}
