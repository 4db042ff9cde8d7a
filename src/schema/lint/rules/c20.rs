//! C20: what logical replication carries, changed.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::{Name, Phrase};

/// Finds a change of what logical replication carries.
pub(crate) const RULE: Rule = Rule {
    code: "C20",
    name: "replication-changed",
    severity: Severity::Warn,
    required: false,
    why: "Subscribers stop receiving rows without an error, or updates and deletes of a published table fail at the source.",
    safe: "give a table a primary key before it is published; tell who subscribes before a table leaves",
    versions: "all",
    bad: "ALTER TABLE orders REPLICA IDENTITY NOTHING;",
    good: "ALTER TABLE orders REPLICA IDENTITY FULL;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    match scene.class() {
        Class::Alter(Object::Table) => {
            phrase.find(&["replica", "identity", "nothing"])?;
            let (table, _) =
                phrase.name(phrase.skip(phrase.skip(2, &["if", "exists"]), &["only"]))?;
            let message =
                format!("where `{table}` is published, updates and deletes of its rows fail");
            scene
                .exists_before(&table)
                .then(|| Hit::new(&table, message))
        }
        Class::Drop(Object::Publication) => {
            let (name, _) = phrase.name(phrase.skip(2, &["if", "exists"]))?;
            leaves(scene, &name)
        }
        Class::Alter(Object::Publication) if phrase.is(3, "drop") || phrase.is(3, "set") => {
            let (name, after) = phrase.name(2)?;
            // SET (publish = …) leaves the tables alone.
            let tables = phrase.is(after + 1, "table") || phrase.is(after + 1, "tables");
            leaves(scene, &name).filter(|_| tables)
        }
        Class::Alter(Object::Publication) if phrase.is(3, "add") => enters(scene, phrase),
        Class::Create(Object::Publication) if phrase.has(&["for"]) => enters(scene, phrase),
        _ => None,
    }
}

fn leaves(scene: &Scene<'_>, name: &Name) -> Option<Hit> {
    let message =
        format!("who subscribes to `{name}` gets no more rows of what leaves it, without an error");
    scene.exists_before(name).then(|| Hit::new(name, message))
}

/// Speaks of tables that may have no primary key: those that no file has made with one.
fn enters(scene: &Scene<'_>, phrase: Phrase<'_>) -> Option<Hit> {
    let (name, _) = phrase.name(2)?;
    if let Some(at) = phrase.find(&["table"]) {
        let tables = phrase.from(at + 1).list();
        let table = tables
            .iter()
            .filter_map(|part| part.name(part.skip(0, &["only"])))
            .map(|(table, _)| table)
            .find(|table| !scene.known.tables.get(table).is_some_and(|it| it.primary))?;
        let message =
            format!("updates and deletes of `{table}` fail from here on if it has no primary key");
        return Some(Hit::new(&table, message));
    }
    let message =
        "updates and deletes fail from here on in every table it covers that has no primary key";
    Some(Hit::new(&name, message))
}
