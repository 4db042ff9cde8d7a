//! C11: a column of type json.

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::alter::AlterKind;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "C11",
    name: "json-column",
    severity: Severity::Note,
    required: false,
    why: "json has no equality operator: SELECT DISTINCT, GROUP BY and UNION fail, and the column cannot be indexed.",
    safe: "Use jsonb",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN extra json;",
    good: "ALTER TABLE orders ADD COLUMN extra jsonb;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let columns = match context.class() {
        Class::Create(Object::Table) => declared_so_far::new_table(phrase)?.columns,
        Class::Alter(Object::Table) => alter::read(phrase)?
            .actions
            .into_iter()
            .filter_map(|action| match action.kind {
                AlterKind::AddColumn(column) => Some(column),
                _ => None,
            })
            .collect(),
        _ => return None,
    };
    let column = columns
        .into_iter()
        .find(|column| column.type_text() == "json")?;
    let name = column.name();
    Some(
        Hit::new(
            &name,
            format!(
                "Column `{name}` is json, which has no equality operator and cannot be indexed"
            ),
        )
        .start(column.phrase.start()),
    )
}
