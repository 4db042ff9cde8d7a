//! Findings in the formats of code hosts, scanners and test reports.
//!
//! Each format is a function from findings to text; `commands::output` writes it.

pub mod github;
pub mod gitlab;
pub mod junit;
pub mod markdown;
pub mod sarif;

use crate::commands::page::count;
use crate::finding::{Finding, Severity};

/// The location of findings without one, in formats that require a file.
const PROJECT: &str = "af-db.yaml";

/// Counts findings in words, worst first.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let of = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let parts = [
        (of(Severity::Error), "error", "errors"),
        (of(Severity::Warn), "warning", "warnings"),
        (of(Severity::Note), "note", "notes"),
    ];
    let said = parts.iter().filter(|(number, _, _)| *number > 0);
    said.map(|(number, one, many)| count(*number, one, many))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The findings, worst first.
pub(crate) fn worst_first(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    sorted
}

/// The finding in one sentence.
fn sentence(finding: &Finding) -> String {
    format!("{}: {}", finding.subject, finding.message)
}

/// The rest of a finding: other locations, details and help.
fn rest(finding: &Finding) -> String {
    let mut lines: Vec<String> = finding
        .also
        .iter()
        .map(|place| format!("see {place}"))
        .collect();
    lines.extend(
        finding
            .detail
            .iter()
            .map(|detail| detail.trim_end().to_owned()),
    );
    lines.extend(
        finding
            .help
            .iter()
            .map(|help| format!("help: {}", help.trim_end())),
    );
    lines.join("\n")
}

/// The whole finding as plain text.
fn whole(finding: &Finding) -> String {
    let rest = rest(finding);
    if rest.is_empty() {
        sentence(finding)
    } else {
        format!("{}\n{rest}", sentence(finding))
    }
}

/// The path with slashes, relative to the project.
fn path(file: &str) -> String {
    let file = if cfg!(windows) {
        file.replace('\\', "/")
    } else {
        file.to_owned()
    };
    file.strip_prefix("./").unwrap_or(&file).to_owned()
}

#[cfg(test)]
mod samples {
    use crate::finding::{Finding, Location};

    /// One of each severity, with everything a finding can carry.
    pub(super) fn plain() -> Vec<Finding> {
        vec![
            Finding::note(
                "drift-unseen",
                "the live database",
                "one schema cannot be read",
            ),
            Finding::warn("R07", "public.orders", "the index is built under a lock")
                .place(Location::file("./schemas/orders.yaml")),
            Finding::error(
                "R01",
                "public.orders.tenant_id",
                "a foreign key has no index",
            )
            .place(Location::at("migrations/V2__orders.sql", 3, 5))
            .also(Location::at("migrations/V1__tenants.sql", 1, 1))
            .detail("- was\n+ is")
            .help("CREATE INDEX ON public.orders (tenant_id)"),
        ]
    }

    /// Hostile names, messages and files.
    pub(super) const HOSTILE: &str =
        "\"a\" 'b' ::error::c\r\n::add-mask::d 100% <e> & ]]> `f` |g| [h](i) {0} \u{1b}\u{1f980}";

    /// A finding in which everything is hostile.
    pub(super) fn hostile() -> Vec<Finding> {
        vec![
            Finding::error(HOSTILE, HOSTILE, HOSTILE)
                .place(Location::at("a,b: c%\n<d>|\u{e9}.sql", 1, 2))
                .detail(HOSTILE)
                .help(HOSTILE),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_sorted() {
        let findings = samples::plain();
        assert_eq!(summary(&findings), "1 error, 1 warning, 1 note");
        assert_eq!(summary(&[]), "");
        let codes: Vec<&str> = worst_first(&findings)
            .iter()
            .map(|finding| finding.code.as_str())
            .collect();
        assert_eq!(codes, ["R01", "R07", "drift-unseen"]);
    }
}
