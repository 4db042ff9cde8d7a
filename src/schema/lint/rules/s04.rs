//! S04: a column added with a foreign key and a default.

use crate::finding::Severity;
use crate::lint::alter::{Action, Does};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;

/// Finds a column added with a foreign key and a default.
pub(crate) const RULE: Rule = Rule {
    code: "S04",
    name: "add-column-references-default",
    severity: Severity::Warn,
    required: false,
    why: "With a default every row has a value to look up: both tables are locked for the whole scan. Without a default nothing is read.",
    safe: "add the column without a default, then the foreign key NOT VALID, and fill old rows in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN kind_id int DEFAULT 1 REFERENCES kinds (id);",
    good: "ALTER TABLE orders ADD COLUMN kind_id int REFERENCES kinds (id);",
    check: Check::Action(check),
};

fn check(action: &Action<'_>, scene: &Scene<'_>) -> Option<Hit> {
    let Does::AddColumn(column) = &action.does else {
        return None;
    };
    let other = column.references()?;
    let default = column.default()?;
    let table = &action.table;
    (!default.is(0, "null") && scene.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{}", column.name()),
            format!("every row of `{table}` is looked up in `{other}` while nobody can use `{table}` and nobody can write to `{other}`"),
        )
    })
}
