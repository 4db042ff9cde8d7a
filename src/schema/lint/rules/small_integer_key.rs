//! O13: a primary key of a type that is too small.

use crate::finding::Severity;
use crate::lint::alter::ConstraintKind;
use crate::lint::column::Generated;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "O13",
    name: "small-key",
    severity: Severity::Note,
    required: false,
    why: "An integer key ends at 2,147,483,647, and changing its type later rewrites the table.",
    safe: "Use bigint or uuid",
    versions: "all",
    bad: "CREATE TABLE orders (id serial PRIMARY KEY);",
    good: "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Create(Object::Table) {
        return None;
    }
    let new = declared_so_far::new_table(context.phrase())?;
    let column = new.columns.iter().find(|column| {
        let small = matches!(
            column.type_text().as_str(),
            "serial" | "serial4" | "smallserial" | "serial2"
        );
        let numbered = matches!(column.type_text().as_str(), "integer" | "smallint")
            && column.generated(context.declared.major) == Some(Generated::Identity);
        let key = column.is_primary()
            || new.constraints.iter().any(|constraint| {
                constraint.kind == ConstraintKind::Primary && constraint.columns == [column.name()]
            });
        key && (small || numbered)
    })?;
    let name = column.name();
    Some(
        Hit::new(
            format!("{}.{name}", new.name),
            format!("Key `{name}` can run out of numbers; widening it later rewrites the table"),
        )
        .start(column.phrase.start()),
    )
}
