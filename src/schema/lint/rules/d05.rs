//! D05: a table emptied.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a table emptied.
pub(crate) const RULE: Rule = Rule {
    code: "D05",
    name: "truncate",
    severity: Severity::Warn,
    required: false,
    why: "Every row is lost at once; with CASCADE also those of every table that refers to it.",
    safe: "delete in batches what must go, and keep a backup",
    versions: "all",
    bad: "TRUNCATE orders;",
    good: "DELETE FROM orders WHERE created < '2020-01-01';",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    if scene.class() != Class::Truncate {
        return None;
    }
    let phrase = scene.phrase();
    let at = phrase.skip(phrase.skip(1, &["table"]), &["only"]);
    let mut names = phrase
        .from(at)
        .list()
        .into_iter()
        .filter_map(|part| part.name(0));
    let (name, _) = names.find(|(name, _)| scene.exists_before(name))?;
    let others = if phrase.has(&["cascade"]) {
        ", and every row of the tables that refer to it"
    } else {
        ""
    };
    Some(Hit::new(
        &name,
        format!("every row of `{name}` is lost{others}"),
    ))
}
