//! T27: a quote, comment or parenthesis that is never closed.

use crate::finding::Severity;
use crate::lint::known::Known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Script;

/// Finds a quote, comment or parenthesis that is never closed.
pub(crate) const RULE: Rule = Rule {
    code: "T27",
    name: "unclosed",
    severity: Severity::Error,
    required: false,
    why: "Everything after it is part of it: statements that look as if they ran never do.",
    safe: "close it",
    versions: "all",
    bad: "SELECT 'a;",
    good: "SELECT 'a';",
    check: Check::Script(check),
};

fn check(script: &Script<'_>, _known: &Known) -> Vec<(usize, Hit)> {
    script
        .lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| Some((index, line.statement.start, line.statement.unclosed?)))
        .map(|(index, start, unclosed)| {
            let what = unclosed.what;
            let hit = Hit::new(
                what,
                format!("this {what} is never closed, so the rest of the file is part of it"),
            );
            (index, hit.start(unclosed.offset.saturating_sub(start)))
        })
        .collect()
}
