//! X17: SQL put together from strings.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Phrase;
use crate::sql::token::{self, Kind};

/// Finds SQL put together from strings.
pub(crate) const RULE: Rule = Rule {
    code: "X17",
    name: "dynamic-sql",
    severity: Severity::Warn,
    required: false,
    why: "A value that reaches EXECUTE through || is read as SQL: whoever chooses it chooses what runs.",
    safe: "EXECUTE format('… %I …', name) USING value",
    versions: "all",
    bad: "CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP TABLE ' || t; END $$;",
    good: "CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DROP TABLE %I', t); END $$;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let Class::Create(Object::Function | Object::Procedure) = scene.class() else {
        return None;
    };
    let phrase = scene.phrase();
    let body = (0..phrase.len())
        .find(|at| phrase.kind(*at) == Some(Kind::DollarText))
        .map(|at| token::inside_dollars(phrase.at(at)))?;
    let tokens: Vec<_> = token::code(body).collect();
    let inner = Phrase::new(body, &tokens);
    let (mut executes, mut joins) = (None, false);
    for at in 0..inner.len() {
        if inner.is(at, "execute") {
            executes = Some(at);
        } else if inner.kind(at) == Some(Kind::Semicolon) || inner.is(at, "using") {
            executes = None;
        }
        let joined = inner.at(at) == "||" && executes.is_some_and(|word| at > word + 1);
        joins = joins || joined && !quoted(inner, at + 1);
    }
    joins.then(|| {
        let name = known::created(phrase).map_or_else(String::new, |name| name.to_string());
        Hit::new(
            &name,
            format!("`{name}` runs SQL put together with ||, so a value may be read as SQL"),
        )
    })
}

/// Says whether what stands right of `||` quotes itself: a literal, `quote_ident(…)`, `quote_literal(…)`, `format(…)`.
fn quoted(statement: Phrase<'_>, at: usize) -> bool {
    statement.at(at).starts_with(['\'', '$'])
        || ["quote_ident", "quote_literal", "quote_nullable", "format"]
            .iter()
            .any(|function| statement.is(at, function))
}
