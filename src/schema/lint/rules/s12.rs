//! S12: a constraint validated, which reads the whole table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a constraint validated, which reads the whole table.
pub(crate) const RULE: Rule = Rule {
    code: "S12",
    name: "validate-constraint",
    severity: Severity::Note,
    required: false,
    why: "VALIDATE lets reads and writes through, but not other DDL, VACUUM or CREATE INDEX CONCURRENTLY, until all is read.",
    safe: "give it a migration of its own, when the server has time",
    versions: "all",
    bad: "ALTER TABLE orders VALIDATE CONSTRAINT amount_positive; -- of a table of 400 GB",
    good: "ALTER TABLE orders ADD CHECK (amount > 0) NOT VALID;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::Validate(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    let others = scene.script.lines.len() > 1 && scene.script.in_transaction;
    (others && scene.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!("checking `{constraint}` reads all of `{table}`, and what else this file locks stays locked meanwhile"),
        )
    })
}
