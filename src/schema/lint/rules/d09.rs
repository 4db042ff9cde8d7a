//! D09: a sequence set back.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::{Class, Object};
use crate::sql::phrase;

/// Finds a sequence set back.
pub(crate) const RULE: Rule = Rule {
    code: "D09",
    name: "restart-sequence",
    severity: Severity::Warn,
    required: false,
    why: "Numbers that are in use are given out again: inserts fail on the primary key, or rows get mixed up where nothing checks.",
    safe: "set it from the data: SELECT setval('s', (SELECT max(id) FROM t))",
    versions: "all",
    bad: "ALTER SEQUENCE orders_id_seq RESTART WITH 1;",
    good: "SELECT setval('orders_id_seq', (SELECT max(id) FROM orders));",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
    if scene.class() == Class::Select {
        return set_by_hand(scene);
    }
    let (name, _) = phrase.name(phrase.skip(2, &["if", "exists"]))?;
    (scene.class() == Class::Alter(Object::Sequence)
        && phrase.has(&["restart"])
        && scene.exists_before(&name))
    .then(|| {
        Hit::new(
            &name,
            format!("`{name}` may give out numbers that are in use"),
        )
    })
}

/// Finds `setval` with a number that somebody has made up.
fn set_by_hand(scene: &Scene<'_>) -> Option<Hit> {
    let phrase = scene.phrase();
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
    (literal && scene.exists_before(&name)).then(|| {
        Hit::new(
            &name,
            format!("`{name}` may give out numbers that are in use"),
        )
        .start(phrase.from(at).start())
    })
}
