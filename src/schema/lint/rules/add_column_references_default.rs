//! S04: a column added with a foreign key and a default.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S04",
    name: "add-column-references-default",
    severity: Severity::Warn,
    required: false,
    why: "With a default, each row has a value to look up, so both tables are locked during the scan. Without a default, no row is read.",
    safe: "Add the column without a default, then the foreign key NOT VALID, and backfill old rows in batches",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN kind_id int DEFAULT 1 REFERENCES kinds (id);",
    good: "ALTER TABLE orders ADD COLUMN kind_id int REFERENCES kinds (id);",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddColumn(column) = &action.kind else {
        return None;
    };
    let other = column.references()?;
    let default = column.default()?;
    let table = &action.table;
    (!default.is(0, "null") && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{}", column.name()),
            format!("Looks up each row of `{table}` in `{other}`; blocks reads and writes on `{table}` and writes to `{other}`"),
        )
    })
}
