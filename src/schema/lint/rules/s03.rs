//! S03: a foreign key added without NOT VALID.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does, Kind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a foreign key added without NOT VALID.
pub(crate) const RULE: Rule = Rule {
    code: "S03",
    name: "add-foreign-key",
    severity: Severity::Warn,
    required: false,
    why: "Both tables refuse writes while every row is looked up in the other.",
    safe: "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in the next migration, which lets writes go on",
    versions: "all",
    bad: "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id);",
    good: "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddConstraint(constraint) = &action.does else {
        return None;
    };
    let table = &action.table;
    if constraint.kind != Kind::Foreign || constraint.not_valid || !scene.exists_before(table) {
        return None;
    }
    if scene
        .known
        .tables
        .get(table)
        .is_some_and(|table| table.partitioned)
        && scene.known.major < 18
    {
        // NOT VALID does not exist there.
        return None;
    }
    let other = constraint.references()?;
    Some(
        Hit::new(
            table,
            format!("the {} makes `{table}` and `{other}` refuse writes while every row is looked up", constraint.name_or_kind()),
        )
        .help(format!(
            "ALTER TABLE {table} {} NOT VALID; then, in the next migration, ALTER TABLE {table} VALIDATE CONSTRAINT {}",
            action.phrase.text(),
            constraint.name.as_deref().unwrap_or("…"),
        )),
    )
}
