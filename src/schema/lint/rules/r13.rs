//! R13: a table or index moved to another tablespace.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a table or index moved to another tablespace.
pub(crate) const RULE: Rule = Rule {
    code: "R13",
    name: "set-tablespace",
    severity: Severity::Warn,
    required: false,
    why: "The files are copied while nobody can use the table.",
    safe: "move it with pg_repack, or build the index anew CONCURRENTLY in the other tablespace",
    versions: "all",
    bad: "ALTER TABLE orders SET TABLESPACE fast;",
    good: "CREATE TABLE orders (id int) TABLESPACE fast;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let moves = matches!(
        scene.class(),
        Class::Alter(Object::Table | Object::Index | Object::MaterializedView)
    );
    let at = phrase.find(&["set", "tablespace"]).filter(|_| moves)?;
    let from = phrase.skip(2, &["if", "exists"]);
    let (name, _) = phrase.name(from)?;
    scene.exists_before(&name).then(|| {
        Hit::new(
            &name,
            format!("`{name}` is copied to another tablespace while nobody can use it"),
        )
        .start(phrase.from(at).start())
    })
}
