//! S03: a foreign key added without NOT VALID.

use crate::finding::Severity;
use crate::lint::alter::{AlterAction, AlterKind, ConstraintKind};
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;

pub(crate) const RULE: Rule = Rule {
    code: "S03",
    name: "add-foreign-key",
    severity: Severity::Warn,
    required: false,
    why: "Both tables block writes (SHARE ROW EXCLUSIVE) while each row is looked up in the referenced table.",
    safe: "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in the next migration, which does not block writes",
    versions: "all",
    bad: "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id);",
    good: "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;",
    check: Check::AlterAction(check),
};

fn check(action: &AlterAction<'_>, context: &StatementContext<'_>) -> Option<Hit> {
    let AlterKind::AddConstraint(constraint) = &action.kind else {
        return None;
    };
    let table = &action.table;
    if constraint.kind != ConstraintKind::Foreign
        || constraint.not_valid
        || !context.exists_before(table)
    {
        return None;
    }
    if context
        .declared
        .tables
        .get(table)
        .is_some_and(|table| table.partitioned)
        && context.declared.major < 18
    {
        // NOT VALID does not exist there.
        return None;
    }
    let other = constraint.references()?;
    Some(
        Hit::new(
            table,
            format!("Adding the {} blocks writes to `{table}` and `{other}` while all rows are checked", constraint.name_or_kind()),
        )
        .help(format!(
            "ALTER TABLE {table} {} NOT VALID; then, in the next migration, ALTER TABLE {table} VALIDATE CONSTRAINT {}",
            action.phrase.text(),
            constraint.name.as_deref().unwrap_or("…"),
        )),
    )
}
