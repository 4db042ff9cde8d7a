//! C02: a table or view renamed.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a table or view renamed.
pub(crate) const RULE: Rule = Rule {
    code: "C02",
    name: "rename-table",
    severity: Severity::Warn,
    required: false,
    why: "Code that runs while the migration does uses the old name, and fails at once.",
    safe: "make a view with the old name in the same migration, and drop it a release later",
    versions: "all",
    bad: "ALTER TABLE orders RENAME TO purchases;",
    good: "ALTER TABLE orders RENAME TO purchases; CREATE VIEW orders AS SELECT * FROM purchases;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let Class::Alter(Object::Table | Object::View | Object::MaterializedView | Object::Function) =
        scene.class()
    else {
        return None;
    };
    let phrase = scene.phrase();
    let at = phrase.find(&["rename", "to"])?;
    let from = if phrase.is(1, "materialized") { 3 } else { 2 };
    let (name, _) = phrase.name(phrase.skip(phrase.skip(from, &["if", "exists"]), &["only"]))?;
    let stays = scene.is_after(&Fact::CreatesRelation(name.clone()));
    let dropped_later = name.name.starts_with("zz_") || phrase.at(at + 2).starts_with("zz_");
    (!stays && !dropped_later && scene.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("code that still says `{name}` fails the moment this commits"),
        )
        .help(format!(
            "CREATE VIEW {name} AS SELECT * FROM {} in the same migration; drop it a release later",
            phrase.at(at + 2)
        ))
    })
}
