//! X13: the owner of a table changed.

use crate::finding::Severity;
use crate::lint::alter::Action;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds the owner of a table changed.
pub(crate) const RULE: Rule = Rule {
    code: "X13",
    name: "change-owner",
    severity: Severity::Note,
    required: false,
    why: "The owner passes by row-level security unless it is forced, and the change locks the table, its indexes and sequences.",
    safe: "FORCE ROW LEVEL SECURITY, or an owner that no application uses",
    versions: "all",
    bad: "ALTER TABLE orders OWNER TO app;",
    good: "GRANT SELECT ON orders TO app;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let table = &action.table;
    let owner = action
        .phrase
        .begins(&["owner", "to"])
        .then(|| action.phrase.ident(2))??;
    (scene.exists_before(table) && scene.known.rows_secured).then(|| {
        Hit::new(
            table,
            format!(
                "`{owner}` passes by the policies of `{table}` from now on, unless they are forced"
            ),
        )
    })
}
