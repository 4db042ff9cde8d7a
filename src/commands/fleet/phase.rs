//! Expand before contract: migrations that break old code or lose data run only after the others have run everywhere.

use std::collections::BTreeSet;

use crate::lint::Source;
use crate::lint::check::{self, LintOptions};
use crate::migrate::files::{Migration, MigrationFolder};

/// The migrations that must be applied to the whole fleet before the next phase starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// Whether a migration in it breaks old code or loses data.
    pub(super) contracts: bool,
    /// The versions, in order.
    pub(super) versions: Vec<i64>,
}

/// Splits the pending versions of all databases into phases.
pub(super) fn cut(folder: &MigrationFolder, pending: &BTreeSet<i64>) -> Vec<Phase> {
    let contracting: BTreeSet<i64> = folder
        .migrations
        .iter()
        .filter(|file| pending.contains(&file.version) && is_contracting(file))
        .map(|file| file.version)
        .collect();
    let mut phases: Vec<Phase> = Vec::new();
    for &version in pending {
        let contracts = contracting.contains(&version);
        match phases.last_mut() {
            // An expanding migration after a contracting one cannot run before it, so it is part of its phase.
            Some(last) if last.contracts || !contracts => last.versions.push(version),
            _ => phases.push(Phase {
                contracts,
                versions: vec![version],
            }),
        }
    }
    phases
}

/// Whether the lint rules on data loss and breaking changes find anything, allowed or not.
fn is_contracting(file: &Migration) -> bool {
    let options = LintOptions {
        major: None,
        overrides: Vec::new(),
        today: chrono::NaiveDate::MAX,
    };
    let report = check::check(&[Source::new(&file.up.shown, &file.up.text)], &options);
    let codes = report.findings.iter().map(|finding| finding.code.as_str());
    let allowed = report
        .allowed
        .iter()
        .map(|allowed| allowed.finding.code.as_str());
    codes
        .chain(allowed)
        .any(|code| code.starts_with('D') || matches!(code, "C01" | "C02" | "C03" | "C04" | "C05"))
}
