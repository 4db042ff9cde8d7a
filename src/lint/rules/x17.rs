//! X17: SQL put together from strings.

use crate::finding::Severity;
use crate::lint::known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Phrase;
use crate::sql::token;

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
        .map(|at| phrase.at(at))
        .find(|text| text.starts_with('$'))?;
    let open = body[1..].find('$')? + 2;
    let inner = &body[open..body.len().saturating_sub(open).max(open)];
    let tokens: Vec<_> = token::code(inner).collect();
    let inner = Phrase::new(inner, &tokens);
    let joins = (0..inner.len())
        .filter(|at| inner.is(*at, "execute"))
        .any(|at| {
            let rest = inner.from(at + 1);
            let end = (0..rest.len())
                .find(|at| rest.at(*at) == ";" || rest.is(*at, "using"))
                .unwrap_or(rest.len());
            let statement = rest.range(0, end);
            (1..statement.len()).any(|at| statement.at(at) == "||" && !quoted(statement, at + 1))
        });
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
