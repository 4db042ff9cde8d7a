//! Owns what is done everywhere before what: nothing that breaks old code or loses data runs anywhere until all that only
//! adds has run everywhere.

use std::collections::BTreeSet;

use crate::lint::Source;
use crate::lint::check::{self, LintOptions};
use crate::migrate::files::{Migration, MigrationFolder};

/// What runs on the whole fleet before the next phase begins anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    /// Whether anything in it takes away.
    pub(super) contracts: bool,
    /// The versions, in order.
    pub(super) versions: Vec<i64>,
}

/// Cuts the versions that are pending anywhere into phases.
pub(super) fn cut(folder: &MigrationFolder, pending: &BTreeSet<i64>) -> Vec<Phase> {
    let taking: BTreeSet<i64> = folder
        .migrations
        .iter()
        .filter(|file| pending.contains(&file.version) && takes_away(file))
        .map(|file| file.version)
        .collect();
    let mut phases: Vec<Phase> = Vec::new();
    for &version in pending {
        let contracts = taking.contains(&version);
        match phases.last_mut() {
            // What adds behind what takes away cannot run before it, so it may as well run with it.
            Some(last) if last.contracts || !contracts => last.versions.push(version),
            _ => phases.push(Phase {
                contracts,
                versions: vec![version],
            }),
        }
    }
    phases
}

/// Says whether the rules on data loss and on breaking old code find anything, allowed or not.
fn takes_away(file: &Migration) -> bool {
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
