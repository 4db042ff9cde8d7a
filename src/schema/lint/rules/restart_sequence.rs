//! D09: a sequence restarted.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::StatementContext;
use crate::sql::class::{Class, Object};
use crate::sql::phrase;

pub(crate) const RULE: Rule = Rule {
    code: "D09",
    name: "restart-sequence",
    severity: Severity::Warn,
    required: false,
    why: "The sequence returns numbers that are already in use: inserts fail on the primary key, or create duplicates where there is no constraint.",
    safe: "Set it from the data: SELECT setval('s', (SELECT max(id) FROM t))",
    versions: "all",
    bad: "ALTER SEQUENCE orders_id_seq RESTART WITH 1;",
    good: "SELECT setval('orders_id_seq', (SELECT max(id) FROM orders));",
    check: Check::Statement(check),
};

fn check(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    if context.class() == Class::Select {
        return set_by_hand(context);
    }
    let (name, _) = phrase.name(phrase.skip(2, &["if", "exists"]))?;
    (context.class() == Class::Alter(Object::Sequence)
        && phrase.has(&["restart"])
        && context.exists_before(&name))
    .then(|| {
        Hit::new(
            &name,
            format!("Sequence `{name}` may return numbers that are already in use"),
        )
    })
}

/// Finds `setval` with a literal number.
fn set_by_hand(context: &StatementContext<'_>) -> Option<Hit> {
    let phrase = context.phrase();
    let at = (0..phrase.len()).find(|at| phrase.is(*at, "setval"))?;
    let (inside, _) = phrase.inside(at + 1)?;
    let parts = inside.list();
    let [of, number, ..] = parts.as_slice() else {
        return None;
    };
    let quoted = of.text().strip_prefix('\'')?.strip_suffix('\'')?;
    let tokens = phrase::read(quoted);
    let (name, _) = phrase::Phrase::new(quoted, &tokens).name(0)?;
    let literal = number.text().bytes().all(|byte| byte.is_ascii_digit());
    (literal && context.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("Sequence `{name}` may return numbers that are already in use"),
        )
        .start(phrase.from(at).start())
    })
}
