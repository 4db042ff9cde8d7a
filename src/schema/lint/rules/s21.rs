//! S21: a NOT VALID foreign key on a partitioned table.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a NOT VALID foreign key on a partitioned table.
pub(crate) const RULE: Rule = Rule {
    code: "S21",
    name: "foreign-key-not-valid-partitioned",
    severity: Severity::Error,
    required: false,
    why: "Before PostgreSQL 18 a partitioned table cannot have a foreign key that is NOT VALID: the statement fails.",
    safe: "add the foreign key NOT VALID to each partition and validate it, then add it to the parent",
    versions: "14 to 17",
    bad: "ALTER TABLE events ADD FOREIGN KEY (a) REFERENCES b (a) NOT VALID; -- partitioned",
    good: "ALTER TABLE events_2025 ADD FOREIGN KEY (a) REFERENCES b (a) NOT VALID;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    let partitioned = scene
        .known
        .tables
        .get(table)
        .is_some_and(|table| table.partitioned);
    let refused =
        constraint.kind == Kind::Foreign && constraint.not_valid && scene.known.major < 18;
    (refused && partitioned).then(|| {
        Hit::new(
            table,
            format!(
                "`{table}` is partitioned: PostgreSQL {} refuses a NOT VALID foreign key there",
                scene.known.major
            ),
        )
    })
}
