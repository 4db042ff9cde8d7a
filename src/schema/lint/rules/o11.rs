//! O11: statistics that a change of type has thrown away.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds statistics that a change of type has thrown away.
pub(crate) const RULE: Rule = Rule {
    code: "O11",
    name: "analyze-after-change",
    severity: Severity::Note,
    required: false,
    why: "A new type throws the statistics of the column away: plans are guessed until the next ANALYZE, which may be hours off.",
    safe: "ANALYZE the table in a statement behind it",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN code TYPE text;",
    good: "ALTER TABLE orders ALTER COLUMN code TYPE text; ANALYZE orders;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::SetType(column, _) = &action.does else {
        return None;
    };
    let table = &action.table;
    let analyzed = scene.is_after(&Fact::AnalyzesAll)
        || scene.is_after(&Fact::Analyzes(table.name.to_ascii_lowercase()));
    (!analyzed && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("the statistics of `{column}` are gone, and plans are guessed until the next ANALYZE"),
        )
        .help(format!("ANALYZE {table}"))
    })
}
