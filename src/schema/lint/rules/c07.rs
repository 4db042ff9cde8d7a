//! C07: a default or a NOT NULL that changes under running code.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a default or a NOT NULL that changes under running code.
pub(crate) const RULE: Rule = Rule {
    code: "C07",
    name: "column-default-changed",
    severity: Severity::Note,
    required: false,
    why: "Rows written from then on carry another value, or null, which code that reads them may not expect.",
    safe: "release code that reads both first; then change it",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN state DROP NOT NULL;",
    good: "ALTER TABLE orders ADD COLUMN state text;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AlterColumn(column, rest) = &action.does else {
        return None;
    };
    let table = &action.table;
    // A column that these files have just added has no readers yet.
    let message = if rest.begins(&["drop", "not", "null"]) {
        format!("code that reads `{column}` meets nulls from this moment on")
    } else if rest.begins(&["set", "default"])
        && !scene.is_before(&Fact::AddsColumn(table.clone(), column.clone()))
    {
        format!("rows written without `{column}` get another value from this moment on")
    } else {
        return None;
    };
    scene
        .exists_before(table)
        .then(|| Hit::new(format!("{table}.{column}"), message))
}
