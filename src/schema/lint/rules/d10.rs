//! D10: a default, an identity or a generation expression dropped.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a default, an identity or a generation expression dropped.
pub(crate) const RULE: Rule = Rule {
    code: "D10",
    name: "drop-column-default",
    severity: Severity::Note,
    required: false,
    why: "Rows written from then on get null, or fail, where code counted on the value being filled in.",
    safe: "release code that gives the value itself first; then drop",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN state DROP DEFAULT;",
    good: "ALTER TABLE orders ALTER COLUMN state SET DEFAULT 'new';",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AlterColumn(column, rest) = &action.does else {
        return None;
    };
    let what = ["default", "identity", "expression"]
        .into_iter()
        .find(|what| rest.begins(&["drop", what]))?;
    let table = &action.table;
    scene.exists_before(table).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!(
                "code that counts on the {what} of `{column}` to fill it in writes null, or fails"
            ),
        )
    })
}
