//! T27: a quote, comment or parenthesis that is never closed.

use crate::finding::Severity;
use crate::lint::declared_so_far::DeclaredSoFar;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::LintFile;

pub(crate) const RULE: Rule = Rule {
    code: "T27",
    name: "unclosed",
    severity: Severity::Error,
    required: false,
    why: "The rest of the file becomes part of the unclosed text, so its statements never run.",
    safe: "Close it",
    versions: "all",
    bad: "SELECT 'a;",
    good: "SELECT 'a';",
    check: Check::File(check),
};

fn check(file: &LintFile<'_>, _declared: &DeclaredSoFar) -> Vec<(usize, Hit)> {
    file.statements
        .iter()
        .enumerate()
        .filter_map(|(index, line)| Some((index, line.statement.start, line.statement.unclosed?)))
        .map(|(index, start, unclosed)| {
            let what = unclosed.what;
            let hit = Hit::new(
                what,
                format!("This {what} is never closed; the rest of the file is part of it"),
            );
            (index, hit.start(unclosed.offset.saturating_sub(start)))
        })
        .collect()
}
