//! X17: dynamic SQL built by concatenation.

use crate::finding::Severity;
use crate::lint::declared_so_far;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Phrase;
use crate::sql::token::{self, TokenKind};

pub(crate) const RULE: Rule = Rule {
    code: "X17",
    name: "dynamic-sql",
    severity: Severity::Warn,
    required: false,
    why: "A value concatenated into EXECUTE is interpreted as SQL (SQL injection).",
    safe: "Use EXECUTE format('… %I …', name) USING value",
    versions: "all",
    bad: "CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP TABLE ' || t; END $$;",
    good: "CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DROP TABLE %I', t); END $$;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let Class::Create(Object::Function | Object::Procedure) = context.class() else {
        return None;
    };
    let phrase = context.phrase();
    let body = (0..phrase.len())
        .find(|at| phrase.kind(*at) == Some(TokenKind::DollarText))
        .map(|at| token::inside_dollars(phrase.at(at)))?;
    let tokens: Vec<_> = token::code(body).collect();
    let inner = Phrase::new(body, &tokens);
    let (mut executes, mut joins) = (None, false);
    for at in 0..inner.len() {
        if inner.is(at, "execute") {
            executes = Some(at);
        } else if inner.kind(at) == Some(TokenKind::Semicolon) || inner.is(at, "using") {
            executes = None;
        }
        let joined = inner.at(at) == "||" && executes.is_some_and(|word| at > word + 1);
        joins = joins || joined && !quoted(inner, at + 1);
    }
    joins.then(|| {
        let name =
            declared_so_far::created(phrase).map_or_else(String::new, |name| name.to_string());
        Hit::new(
            &name,
            format!("`{name}` executes SQL concatenated with ||, which allows SQL injection"),
        )
    })
}

/// Whether the operand right of `||` is safe: a literal, `quote_ident(…)`, `quote_literal(…)`, `format(…)`.
fn quoted(statement: Phrase<'_>, at: usize) -> bool {
    statement.at(at).starts_with(['\'', '$'])
        || ["quote_ident", "quote_literal", "quote_nullable", "format"]
            .iter()
            .any(|function| statement.is(at, function))
}
