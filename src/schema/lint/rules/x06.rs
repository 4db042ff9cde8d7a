//! X06: a grant to everyone, or one that may be passed on.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;
use crate::sql::phrase::Phrase;

/// Finds a grant to everyone, or one that may be passed on.
pub(crate) const RULE: Rule = Rule {
    code: "X06",
    name: "grant-to-everyone",
    severity: Severity::Warn,
    required: false,
    why: "PUBLIC is every role there is and will be, and WITH GRANT OPTION lets the grantee open it to others.",
    safe: "grant to the roles that need it, by name",
    versions: "all",
    bad: "GRANT SELECT ON orders TO PUBLIC;",
    good: "GRANT SELECT ON orders TO reporting;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    if scene.class() != Class::Grant {
        return None;
    }
    let on = phrase.find(&["on"])?;
    let to = phrase.find(&["to"])?;
    let object = phrase.range(on + 1, to).text();
    let grantees: Vec<String> = phrase
        .until(to + 1, &["with", "granted"])
        .list()
        .into_iter()
        .filter_map(|part| part.ident(0))
        .collect();
    let usage = phrase.begins(&["grant", "usage", "on", "schema"])
        || phrase.begins(&["grant", "usage", "on", "type"]);
    if grantees.iter().any(|role| role == "public") && !usage {
        return Some(Hit::new(
            object,
            format!("every role there is and will be gets this right on {object}"),
        ));
    }
    let writes = ["insert", "update", "delete", "all", "truncate"]
        .iter()
        .any(|right| phrase.range(0, on).has(&[right]));
    let tables = !phrase.is(on + 1, "function")
        && !phrase.is(on + 1, "schema")
        && !phrase.has(&["all", "functions"]);
    if grantees.iter().any(|role| role == "anon") && writes && tables && !secured(object, scene) {
        return Some(Hit::new(
            object,
            format!("whoever is not even signed in may write to {object}"),
        ));
    }
    phrase.has(&["with", "grant", "option"]).then(|| {
        Hit::new(
            object,
            format!("{} may open {object} to others", grantees.join(", ")),
        )
    })
}
/// Says whether the table of a grant has row-level security.
fn secured(object: &str, scene: &Scene<'_>) -> bool {
    let name = object
        .strip_prefix("TABLE ")
        .or_else(|| object.strip_prefix("table "))
        .unwrap_or(object);
    let tokens = crate::sql::phrase::read(name);
    Phrase::new(name, &tokens)
        .name(0)
        .and_then(|(name, _)| scene.known.tables.get(&name))
        .is_some_and(|table| table.secured.is_some())
}
