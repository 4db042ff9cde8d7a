//! T17: schema changes inside a DO block.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::Class;
use crate::sql::token;

pub(crate) const RULE: Rule = Rule {
    code: "T17",
    name: "ddl-in-block",
    severity: Severity::Note,
    required: false,
    why: "Rules cannot see the locks and rewrites of statements inside a DO block.",
    safe: "Write the statements out; where that is not possible, check the plan, which runs them on a shadow database",
    versions: "all",
    bad: "DO $$ BEGIN ALTER TABLE orders ADD COLUMN a int; END $$;",
    good: "DO $$ BEGIN PERFORM 1; END $$;",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    if context.class() != Class::Do {
        return None;
    }
    let phrase = context.phrase();
    let body = (0..phrase.len())
        .map(|at| phrase.at(at))
        .find(|text| text.starts_with(['$', '\'']))?;
    let inner = body.trim_start_matches(|c| c != '\n' && c != ' ' && c != '$');
    let inner = inner.strip_prefix('$').unwrap_or(inner);
    let found = token::code(inner).find(|token| {
        ["alter", "drop", "truncate", "execute"]
            .iter()
            .any(|word| token.is_word(inner, word))
    })?;
    Some(Hit::new(
        "DO",
        format!(
            "The DO block changes the schema ({}), and lint rules cannot check its statements",
            found.text(inner).to_uppercase()
        ),
    ))
}
