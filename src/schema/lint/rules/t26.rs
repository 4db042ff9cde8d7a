//! T26: a command of psql in a migration.

use crate::finding::Severity;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Scene;
use crate::sql::class::Class;

/// Finds a command of psql in a migration.
pub(crate) const RULE: Rule = Rule {
    code: "T26",
    name: "psql-command",
    severity: Severity::Error,
    required: false,
    why: "A line that begins with a backslash is for psql; no server knows it.",
    safe: "write out what it stands for; copied rows go into INSERT",
    versions: "all",
    bad: "\\\\i other.sql",
    good: "INSERT INTO t VALUES (1);",
    check: Check::Statement(check),
};

fn check(scene: &Scene<'_>) -> Option<Hit> {
    (scene.class() == Class::MetaCommand).then(|| {
        let text = scene.line().statement.text;
        let command = text.split_whitespace().next().unwrap_or(text);
        Hit::new(
            command,
            format!("`{command}` is a command of psql, which no server knows"),
        )
    })
}
