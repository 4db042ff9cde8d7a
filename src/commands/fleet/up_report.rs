//! The report of `up` on a fleet: versions and their counts, failures, skipped and slow databases.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::commands::change::verify::RestorePoint;
use crate::commands::fleet::member_state::{SkippedMember, Survey, UpgradableMember};
use crate::commands::fleet::member_up::MemberApplied;
use crate::commands::fleet::phase::Phase;
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Outcome, Report};
use crate::finding::{Finding, Severity};

/// A database that this run migrated.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UpgradedMember {
    pub(super) name: String,
    pub(super) migrations: usize,
    pub(super) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore_point: Option<RestorePoint>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// A database that was not migrated, and why.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MemberProblem {
    pub(super) name: String,
    pub(super) why: String,
}

/// Databases in the same state, and what is applied to them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct StateGroup {
    from: Option<i64>,
    fingerprint: String,
    server: i32,
    pending: Vec<i64>,
    databases: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FleetUp {
    fleet: String,
    pub(super) plan: String,
    pub(super) groups: Vec<StateGroup>,
    /// The databases whose shared migrations were applied, and how many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) shared: Vec<(String, usize)>,
    pub(super) applied: Vec<UpgradedMember>,
    pub(super) busy: Vec<MemberProblem>,
    pub(super) moved: Vec<MemberProblem>,
    pub(super) failed: Vec<MemberProblem>,
    set_aside: Vec<SkippedMember>,
    pub(super) not_begun: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    pub(super) interrupted: bool,
    versions: Vec<(Option<i64>, usize)>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Groups the databases by state.
pub(super) fn group(sound: &[UpgradableMember<'_>]) -> Vec<StateGroup> {
    let mut groups: BTreeMap<_, StateGroup> = BTreeMap::new();
    for one in sound {
        let group = groups
            .entry((&one.state, &one.pending))
            .or_insert_with(|| StateGroup {
                from: one.applied.last().copied(),
                fingerprint: one.state.fingerprint.clone(),
                server: one.state.major,
                pending: one.pending.clone(),
                databases: 0,
            });
        group.databases += 1;
    }
    groups.into_values().collect()
}

impl FleetUp {
    pub(super) fn new(fleet: &str, plan: &str, surveyed: &Survey<'_>) -> Self {
        let mut report = FleetUp {
            fleet: fleet.to_owned(),
            plan: plan.to_owned(),
            groups: group(&surveyed.sound),
            shared: Vec::new(),
            applied: Vec::new(),
            busy: Vec::new(),
            moved: Vec::new(),
            failed: Vec::new(),
            set_aside: surveyed.aside.clone(),
            not_begun: 0,
            stopped: None,
            interrupted: false,
            versions: Vec::new(),
            findings: Vec::new(),
        };
        report.summarize(&surveyed.sound);
        report
    }

    /// Adds a migrated database; one of an earlier phase is counted once.
    pub(super) fn done(&mut self, name: String, applied: MemberApplied) {
        let seconds = applied.took.as_secs_f64();
        match self.applied.iter_mut().find(|done| done.name == name) {
            Some(done) => {
                done.migrations += applied.migrations;
                done.seconds += seconds;
                done.findings.extend(applied.findings);
            }
            None => self.applied.push(UpgradedMember {
                name,
                migrations: applied.migrations,
                seconds,
                restore_point: applied.restore_point,
                findings: applied.findings,
            }),
        }
    }

    /// Stops the run: no further database is started.
    pub(super) fn stop(&mut self, why: String) {
        self.stopped.get_or_insert(why);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some() || self.interrupted
    }

    /// Counts the current versions and collects the findings.
    pub(super) fn summarize(&mut self, sound: &[UpgradableMember<'_>]) {
        let mut versions: BTreeMap<Option<i64>, usize> = BTreeMap::new();
        for one in sound {
            *versions.entry(one.applied.last().copied()).or_default() += 1;
        }
        self.versions = versions.into_iter().rev().collect();
        self.findings = self.set_aside.iter().map(SkippedMember::finding).collect();
        let kinds: [(&str, &Vec<MemberProblem>); 3] = [
            ("fleet-failed", &self.failed),
            ("fleet-busy", &self.busy),
            ("fleet-moved", &self.moved),
        ];
        for (code, told) in kinds {
            let told = told.iter();
            self.findings
                .extend(told.map(|one| Finding::error(code, &one.name, &one.why)));
        }
        for done in &self.applied {
            let name = &done.name;
            self.findings
                .extend(done.findings.iter().cloned().map(|mut finding| {
                    if finding.subject != *name {
                        finding.message = format!("{} (in {name})", finding.message);
                    }
                    finding
                }));
        }
    }

    /// Describes the run, for the confirmation.
    pub(super) fn plan(&self, phases: &[Phase]) -> String {
        let mut lines = vec![format!("{} ({})", self.fleet, self.plan)];
        for group in self.groups.iter().filter(|group| !group.pending.is_empty()) {
            let from = group
                .from
                .map_or("nothing".to_owned(), |version| format!("V{version}"));
            lines.push(format!(
                "  {} from {from} by {}: {}",
                count(group.databases, "database", "databases"),
                count(group.pending.len(), "migration", "migrations"),
                list(&group.pending)
            ));
        }
        if phases.len() > 1 {
            lines.push(
                "  contracting migrations run only after the expanding ones have run everywhere:"
                    .to_owned(),
            );
            for phase in phases {
                let word = if phase.contracts {
                    "contract"
                } else {
                    "expand"
                };
                lines.push(format!("    {word}: {}", list(&phase.versions)));
            }
        }
        if !self.set_aside.is_empty() {
            let aside = count(self.set_aside.len(), "database", "databases");
            lines.push(format!("  {aside} skipped, see below"));
        }
        lines.join("\n")
    }
}

fn list(versions: &[i64]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = versions
        .iter()
        .take(SHOWN)
        .map(|version| format!("V{version}"))
        .collect();
    if versions.len() > SHOWN {
        text.push(format!("and {} more", versions.len() - SHOWN));
    }
    text.join(", ")
}

impl Report for FleetUp {
    fn command(&self) -> &'static str {
        "up"
    }

    fn human(&self, page: &mut Page) {
        let applied = count(self.applied.len(), "database", "databases");
        page.line(format!("{}: {applied} migrated", self.fleet));
        for (place, migrations) in &self.shared {
            let migrations = count(*migrations, "migration", "migrations");
            page.line(format!("{migrations} shared by tenants applied to {place}"));
        }
        page.gap();
        let rows: Vec<_> = self
            .versions
            .iter()
            .map(|(version, databases)| {
                let version = version.map_or("nothing applied".to_owned(), |version| {
                    format!("V{version}")
                });
                vec![
                    (Tone::Plain, version),
                    (Tone::Plain, format!("{databases:>6}")),
                ]
            })
            .collect();
        page.table(&rows);
        let troubles = [
            (self.failed.len(), "failed"),
            (self.busy.len(), "locked beyond the lock budget"),
            (self.moved.len(), "changed since the run started, skipped"),
            (self.set_aside.len(), "skipped"),
            (self.not_begun, "not started"),
        ];
        for (number, word) in troubles.into_iter().filter(|(number, _)| *number > 0) {
            page.toned(Tone::Warn, format!("{number} {word}"));
        }
        if let Some(why) = &self.stopped {
            page.toned(Tone::Bad, format!("stopped: {why}"));
        }
        if self.interrupted {
            page.toned(Tone::Bad, "interrupted; continue with --resume");
        }
        let mut slow: Vec<&UpgradedMember> = self.applied.iter().collect();
        slow.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        if slow.len() > 3 {
            let told = slow
                .iter()
                .take(3)
                .map(|done| format!("{} {:.1} s", done.name, done.seconds));
            let told: Vec<String> = told.collect();
            page.toned(Tone::Dim, format!("slowest: {}", told.join(", ")));
        }
    }

    fn outcome(&self) -> Outcome {
        if self.interrupted {
            return Outcome::Interrupted;
        }
        if self.stopped.is_some() || !self.failed.is_empty() {
            return Outcome::HalfWay;
        }
        Outcome::of(&self.findings, Severity::Error)
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
