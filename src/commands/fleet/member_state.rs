//! Owns what is known of each database before a fleet is changed: its history and shape, who is set aside and why.

use crate::config::Database;
use crate::finding::{Finding, Severity};
use crate::fleet::Member;

/// Why a database is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SkipReason {
    /// It could not be asked.
    Unreachable,
    /// Its history and the files contradict each other, or it cannot be written to.
    Wrong,
    /// Its history knows more than the files.
    Ahead,
    /// Its schema is not that of the others with the same history.
    Drifted,
    /// It is in another state than the plan was made for.
    NotPlanned,
}

/// A database left alone.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SkippedMember {
    pub(super) name: String,
    pub(super) cause: SkipReason,
    pub(super) why: String,
}

impl SkippedMember {
    /// Makes a finding of it.
    pub(super) fn finding(&self) -> Finding {
        let code = match self.cause {
            SkipReason::Unreachable => "fleet-unreachable",
            SkipReason::Wrong => "fleet-wrong",
            SkipReason::Ahead => "fleet-ahead",
            SkipReason::Drifted => "fleet-drifted",
            SkipReason::NotPlanned => "fleet-not-planned",
        };
        let severity = match self.cause {
            SkipReason::Ahead => Severity::Warn,
            _ => Severity::Error,
        };
        Finding::new(severity, code, &self.name, &self.why)
    }
}

/// What tells one state of a database from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MemberState {
    /// Version and checksum of each applied migration.
    pub(super) history: Vec<(i64, String)>,
    /// The server's major version.
    pub(super) major: i32,
    /// The schema.
    pub(super) fingerprint: String,
    /// What an earlier run has left half-way, of which the schema then shows a part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) half_run: Vec<i64>,
}

/// A database that can be changed.
pub(super) struct UpgradableMember<'f> {
    pub(super) member: &'f Member,
    pub(super) state: MemberState,
    /// What is in its history, in order.
    pub(super) applied: Vec<i64>,
    /// What this run will apply to it.
    pub(super) pending: Vec<i64>,
    /// How large it is.
    pub(super) bytes: i64,
    /// The rules that apply to it.
    pub(super) database: Database,
}

impl UpgradableMember<'_> {
    /// Notes that these versions are no longer pending.
    pub(super) fn pass(&mut self, versions: &[i64]) {
        let (done, rest): (Vec<i64>, Vec<i64>) = self
            .pending
            .iter()
            .partition(|version| versions.contains(version));
        self.pending = rest;
        self.applied.extend(done);
        self.applied.sort_unstable();
    }
}

/// What the survey found.
pub(super) struct Survey<'f> {
    pub(super) sound: Vec<UpgradableMember<'f>>,
    pub(super) aside: Vec<SkippedMember>,
}

/// What a look at a database showed.
pub(super) struct SurveyedMember {
    pub(super) state: MemberState,
    pub(super) pending: Vec<i64>,
    pub(super) bytes: i64,
    pub(super) database: Database,
    pub(super) wrong: Option<(SkipReason, String)>,
}

/// Databases with one history on servers of one version.
pub(super) type SameHistory<'f> = Vec<(&'f Member, SurveyedMember)>;
