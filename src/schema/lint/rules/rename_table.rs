//! C02: a table, view or function renamed.

use crate::finding::Severity;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "C02",
    name: "rename-table",
    severity: Severity::Warn,
    required: false,
    why: "Code that is still running uses the old name and fails immediately.",
    safe: "Create a view with the old name in the same migration, and drop it one release later",
    versions: "all",
    bad: "ALTER TABLE orders RENAME TO purchases;",
    good: "ALTER TABLE orders RENAME TO purchases; CREATE VIEW orders AS SELECT * FROM purchases;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let Class::Alter(Object::Table | Object::View | Object::MaterializedView | Object::Function) =
        context.class()
    else {
        return None;
    };
    let phrase = context.phrase();
    let at = phrase.find(&["rename", "to"])?;
    let from = if phrase.is(1, "materialized") { 3 } else { 2 };
    let (name, _) = phrase.name(phrase.skip(phrase.skip(from, &["if", "exists"]), &["only"]))?;
    let stays = context.is_after(&StatementFact::CreatesRelation(name.clone()));
    let dropped_later = name.name.starts_with("zz_") || phrase.at(at + 2).starts_with("zz_");
    (!stays && !dropped_later && context.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("Renaming `{name}` breaks running code that uses the old name"),
        )
        .help(format!(
            "CREATE VIEW {name} AS SELECT * FROM {} in the same migration; drop it one release later",
            phrase.at(at + 2)
        ))
    })
}
