//! O13: a primary key that can run out.

use crate::finding::Severity;
use crate::lint::alter::Kind;
use crate::lint::column::Generated;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a primary key that can run out.
pub(crate) const RULE: Rule = Rule {
    code: "O13",
    name: "small-key",
    severity: Severity::Note,
    required: false,
    why: "An integer key ends at 2,147,483,647, and changing its type later rewrites the table.",
    safe: "use bigint, or uuid",
    versions: "all",
    bad: "CREATE TABLE orders (id serial PRIMARY KEY);",
    good: "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Create(Object::Table) {
        return None;
    }
    let new = known::new_table(scene.phrase())?;
    let column = new.columns.iter().find(|column| {
        let small = matches!(
            column.type_text().as_str(),
            "serial" | "serial4" | "smallserial" | "serial2"
        );
        let numbered = matches!(column.type_text().as_str(), "integer" | "smallint")
            && column.generated(scene.known.major) == Some(Generated::Identity);
        let key = column.is_primary()
            || new.constraints.iter().any(|constraint| {
                constraint.kind == Kind::Primary && constraint.columns == [column.name()]
            });
        key && (small || numbered)
    })?;
    let name = column.name();
    Some(
        Hit::new(
            format!("{}.{name}", new.name),
            format!("`{name}` runs out of numbers one day, and widening it rewrites the table"),
        )
        .start(column.phrase.start()),
    )
}
