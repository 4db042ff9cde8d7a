//! S10: an exclusion constraint added to an existing table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds an exclusion constraint added to an existing table.
pub(crate) const RULE: Rule = Rule {
    code: "S10",
    name: "add-exclusion",
    severity: Severity::Warn,
    required: false,
    why: "Its index is built and every row is checked while nobody can use the table; there is no concurrent form.",
    safe: "make a new table with the constraint, fill it in batches, swap the names",
    versions: "all",
    bad: "ALTER TABLE bookings ADD EXCLUDE USING gist (room WITH =, during WITH &&);",
    good: "CREATE TABLE bookings (during tsrange, EXCLUDE USING gist (during WITH &&));",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    (constraint.kind == Kind::Exclude && scene.exists_before(table)).then(|| {
        Hit::new(
            table,
            format!(
                "the {} builds its index while nobody can use `{table}`",
                constraint.name_or_kind()
            ),
        )
    })
}
