//! X06: a grant to PUBLIC or anon, or WITH GRANT OPTION.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;
use crate::sql::phrase::Phrase;

pub(crate) const RULE: Rule = Rule {
    code: "X06",
    name: "grant-to-everyone",
    severity: Severity::Warn,
    required: false,
    why: "PUBLIC includes all current and future roles, and WITH GRANT OPTION lets the grantee grant access to others.",
    safe: "Grant to the roles that need it, by name",
    versions: "all",
    bad: "GRANT SELECT ON orders TO PUBLIC;",
    good: "GRANT SELECT ON orders TO reporting;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    if context.class() != Class::Grant {
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
            format!("Grants access to {object} to all current and future roles"),
        ));
    }
    let writes = ["insert", "update", "delete", "all", "truncate"]
        .iter()
        .any(|right| phrase.range(0, on).has(&[right]));
    let tables = !phrase.is(on + 1, "function")
        && !phrase.is(on + 1, "schema")
        && !phrase.has(&["all", "functions"]);
    if grantees.iter().any(|role| role == "anon") && writes && tables && !secured(object, context) {
        return Some(Hit::new(
            object,
            format!("Anonymous users (anon) can write to {object}"),
        ));
    }
    phrase.has(&["with", "grant", "option"]).then(|| {
        Hit::new(
            object,
            format!(
                "{} can grant access to {object} to others",
                grantees.join(", ")
            ),
        )
    })
}
/// Whether RLS is enabled on the table of a grant.
fn secured(object: &str, context: &StatementContext<'_>) -> bool {
    let name = object
        .strip_prefix("TABLE ")
        .or_else(|| object.strip_prefix("table "))
        .unwrap_or(object);
    let tokens = crate::sql::phrase::read(name);
    Phrase::new(name, &tokens)
        .name(0)
        .and_then(|(name, _)| context.declared.tables.get(&name))
        .is_some_and(|table| table.rls_enabled.is_some())
}
