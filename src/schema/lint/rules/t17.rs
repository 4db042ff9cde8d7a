//! T17: schema changes inside a DO block.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;
use crate::sql::token;

/// Finds schema changes inside a DO block.
pub(crate) const RULE: Rule = Rule {
    code: "T17",
    name: "ddl-in-block",
    severity: Severity::Note,
    required: false,
    why: "What a block changes cannot be told from its text: no rule here sees the locks and rewrites inside.",
    safe: "write the statements out; where that cannot be, read what the shadow run observed",
    versions: "all",
    bad: "DO $$ BEGIN ALTER TABLE orders ADD COLUMN a int; END $$;",
    good: "DO $$ BEGIN PERFORM 1; END $$;",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Do {
        return None;
    }
    let phrase = scene.phrase();
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
            "the block changes the schema ({}), which no rule can judge by its text",
            found.text(inner).to_uppercase()
        ),
    ))
}
