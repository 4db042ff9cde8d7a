//! O11: column statistics reset by a change of type.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "O11",
    name: "analyze-after-change",
    severity: Severity::Note,
    required: false,
    why: "Changing the type resets the column statistics; query plans are poor until the next ANALYZE.",
    safe: "Run ANALYZE on the table after the change",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN code TYPE text;",
    good: "ALTER TABLE orders ALTER COLUMN code TYPE text; ANALYZE orders;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::SetType(column, _) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let analyzed = context.is_after(&StatementFact::AnalyzesAll)
        || context.is_after(&StatementFact::Analyzes(table.name.to_ascii_lowercase()));
    (!analyzed && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Statistics of `{column}` are reset; run ANALYZE after the migration"),
        )
        .help(format!("ANALYZE {table}"))
    })
}
