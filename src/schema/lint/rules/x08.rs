//! X08: a SECURITY DEFINER function without a search_path.

use crate::finding::Severity;
use crate::lint::around::Fact;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};

/// Finds a SECURITY DEFINER function without a search_path.
pub(crate) const RULE: Rule = Rule {
    code: "X08",
    name: "definer-without-search-path",
    severity: Severity::Error,
    required: false,
    why: "It runs with its owner's rights, but looks up names by the caller's search_path: whoever can make a table or function of the same name runs code as the owner.",
    safe: "add SET search_path = '' and qualify every name in the body",
    versions: "all",
    bad: "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';",
    good: "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    let (Class::Create(Object::Function | Object::Procedure)
    | Class::Alter(Object::Function | Object::Procedure)) = scene.class()
    else {
        return None;
    };
    let (name, _) = match scene.class() {
        Class::Alter(_) => phrase.name(2)?,
        _ => (known::created(phrase)?, 0),
    };
    let set_later = scene.is_after(&Fact::PinsSearchPath(name.clone()));
    let pinned = phrase.has(&["set", "search_path"]) || phrase.has(&["set", "schema"]);
    (phrase.has(&["security", "definer"]) && !pinned && !set_later).then(|| {
        Hit::new(
            &name,
            format!("`{name}` runs as its owner but finds names by the caller's search_path"),
        )
    })
}
