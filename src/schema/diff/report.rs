//! Changes as findings, each with both definitions.

use similar::TextDiff;

use crate::diff::{Change, Detail, outermost};
use crate::finding::{Finding, Severity};

/// How findings name the two catalogs.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    pub code: &'a str,
    pub severity: Severity,
    /// The first catalog, such as `the migrations`.
    pub before: &'a str,
    /// The second catalog, such as `the manifest`.
    pub after: &'a str,
}

/// Turns changes into findings; an added or dropped object is one finding together with its parts.
pub fn findings(changes: &[Change], sides: &Sides<'_>) -> Vec<Finding> {
    outermost(changes)
        .into_iter()
        .map(|change| finding(change, sides))
        .collect()
}

pub fn finding(change: &Change, sides: &Sides<'_>) -> Finding {
    let Sides {
        code,
        severity,
        before,
        after,
    } = *sides;
    let subject = change.key.to_string();
    let details = change.details();
    let message = match (&change.before, &change.after) {
        (Some(_), None) => format!("found in {before}, missing in {after}"),
        (None, Some(_)) => format!("found in {after}, missing in {before}"),
        _ => {
            let names: Vec<&str> = details.iter().map(|detail| detail.name.as_str()).collect();
            format!("{before} and {after} differ in {}", names.join(", "))
        }
    };
    let finding = Finding::new(severity, code, subject, message);
    if details.is_empty() {
        return finding;
    }
    let details: Vec<String> = details
        .iter()
        .map(|detail| both_values(detail, before, after))
        .collect();
    finding.detail(details.join("\n"))
}

/// Shows both values of a property; texts of several lines as a diff.
fn both_values(detail: &Detail, before: &str, after: &str) -> String {
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
    let (old, new) = (side(&detail.before), side(&detail.after));
    if !old.contains('\n') && !new.contains('\n') {
        return format!("{}\n  {before}: {old}\n  {after}: {new}", detail.name);
    }
    let diff = TextDiff::from_lines(&old, &new);
    let text = diff
        .unified_diff()
        .context_radius(2)
        .header(before, after)
        .to_string();
    format!("{}\n{}", detail.name, text.trim_end())
}
