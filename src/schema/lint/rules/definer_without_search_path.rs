//! X08: a SECURITY DEFINER function without a search_path.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::file_facts::StatementFact;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};

pub(crate) const RULE: Rule = Rule {
    code: "X08",
    name: "definer-without-search-path",
    severity: Severity::Error,
    required: false,
    why: "The function runs with its owner's privileges but resolves names by the caller's search_path: a caller who can create a table or function of the same name runs code as the owner.",
    safe: "Add SET search_path = '' and qualify all names in the body",
    versions: "all",
    bad: "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';",
    good: "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let (Class::Create(Object::Function | Object::Procedure)
    | Class::Alter(Object::Function | Object::Procedure)) = context.class()
    else {
        return None;
    };
    let (name, _) = match context.class() {
        Class::Alter(_) => phrase.name(2)?,
        _ => (declared_so_far::created(phrase)?, 0),
    };
    let set_later = context.is_after(&StatementFact::PinsSearchPath(name.clone()));
    let pinned = phrase.has(&["set", "search_path"]) || phrase.has(&["set", "schema"]);
    (phrase.has(&["security", "definer"]) && !pinned && !set_later).then(|| {
        Hit::new(
            &name,
            format!("SECURITY DEFINER function `{name}` uses the caller's search_path"),
        )
    })
}
