//! D07: a column changed to a narrower type.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::lint::types;
use crate::lint::types::TypeChange;

pub(crate) const RULE: Rule = Rule {
    code: "D07",
    name: "narrow-type",
    severity: Severity::Error,
    required: false,
    why: "Values that do not fit are truncated or make the migration fail, after all rows have been read.",
    safe: "Count the values that do not fit first; then add a new column and copy the values that fit",
    versions: "all",
    bad: "ALTER TABLE orders ALTER COLUMN qty TYPE smallint; -- from integer",
    good: "ALTER TABLE orders ALTER COLUMN qty TYPE bigint; -- from integer",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::SetType(column, data_type) = &action.kind else {
        return None;
    };
    let table = &action.table;
    let new = types::spell(data_type.until(0, &["using", "collate"]));
    let old = context.declared.column_type(table, column)?;
    (types::change(old, &new) == TypeChange::Lossy && context.exists_before(table)).then(|| {
        Hit::new(
            format!("{table}.{column}"),
            format!("Narrowing `{old}` to `{new}` truncates values or fails"),
        )
    })
}
