//! S09: a primary key over an index of columns that may be null.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a primary key over an index of columns that may be null.
pub(crate) const RULE: Rule = Rule {
    code: "S09",
    name: "primary-key-nullable",
    severity: Severity::Warn,
    required: false,
    why: "Taking over a ready index is instant, but PostgreSQL then reads every row to prove that the columns are not null, while nobody can use the table.",
    safe: "first prove the columns with a CHECK (… IS NOT NULL) NOT VALID that is then validated, and SET NOT NULL",
    versions: "all",
    bad: "ALTER TABLE orders ADD PRIMARY KEY USING INDEX orders_id_idx;",
    good: "ALTER TABLE orders ALTER COLUMN id SET NOT NULL; -- proven by a valid check",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let index = constraint
        .using_index
        .as_ref()
        .filter(|_| constraint.kind == Kind::Primary)?;
    let table = scene.known.tables.get(&action.table)?;
    let name = &action.table;
    // The newest index list of the table that belongs to this name is not kept apart; its columns are enough.
    let nullable = scene.known.indexes.get(index).is_some_and(|on| on == name)
        && table
            .indexed
            .iter()
            .next_back()
            .is_some_and(|(columns, _)| {
                columns
                    .iter()
                    .any(|column| !table.not_null.contains(column))
            });
    (nullable && scene.exists_before(name)).then(|| {
        Hit::new(
            name,
            format!("index `{index}` covers columns that may be null, so every row of `{name}` is read while nobody can use it"),
        )
    })
}
