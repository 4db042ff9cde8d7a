//! C11: a column of type json.

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::alter::Does;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a column of type json.
pub(crate) const RULE: Rule = Rule {
    code: "C11",
    name: "json-column",
    severity: Severity::Note,
    required: false,
    why: "json has no equality: SELECT DISTINCT, GROUP BY and UNION over it fail, and no index helps.",
    safe: "use jsonb",
    versions: "all",
    bad: "ALTER TABLE orders ADD COLUMN extra json;",
    good: "ALTER TABLE orders ADD COLUMN extra jsonb;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let columns = match scene.class() {
        Class::Create(Object::Table) => known::new_table(phrase)?.columns,
        Class::Alter(Object::Table) => alter::read(phrase)?
            .actions
            .into_iter()
            .filter_map(|action| match action.does {
                Does::AddColumn(column) => Some(column),
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
            format!("`{name}` is json, which has no equality and no index"),
        )
        .start(column.phrase.start()),
    )
}
