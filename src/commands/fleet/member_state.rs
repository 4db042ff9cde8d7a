//! What a survey knows of each database: its history, its schema, and why it is skipped.

use crate::config::Database;
use crate::finding::{Finding, Severity};
use crate::fleet::Member;

/// Why a database is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SkipReason {
    /// It could not be reached.
    Unreachable,
    /// Its history conflicts with the files, or it is read-only.
    Wrong,
    /// Its history has migrations that are not in this checkout.
    Ahead,
    /// Its schema differs from the reference.
    Drifted,
    /// It is not in a state that the plan covers.
    NotPlanned,
}

/// A database that the run does not change.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SkippedMember {
    pub(super) name: String,
    pub(super) cause: SkipReason,
    pub(super) why: String,
}

impl SkippedMember {
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

/// The state of a database: members with the same state get the same plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MemberState {
    /// Version and checksum of each applied migration.
    pub(super) history: Vec<(i64, String)>,
    /// The server's major version.
    pub(super) major: i32,
    /// The schema.
    pub(super) fingerprint: String,
    /// Partially applied migrations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) half_run: Vec<i64>,
}

/// A database that can be migrated.
pub(super) struct UpgradableMember<'f> {
    pub(super) member: &'f Member,
    pub(super) state: MemberState,
    /// The applied versions, in order.
    pub(super) applied: Vec<i64>,
    /// The versions that this run applies.
    pub(super) pending: Vec<i64>,
    /// The size of the database.
    pub(super) bytes: i64,
    /// Its environment, with the rules of a protected one.
    pub(super) database: Database,
}

impl UpgradableMember<'_> {
    /// Moves versions from pending to applied.
    pub(super) fn mark_applied(&mut self, versions: &[i64]) {
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

/// What the survey of one database found.
pub(super) struct SurveyedMember {
    pub(super) state: MemberState,
    pub(super) pending: Vec<i64>,
    pub(super) bytes: i64,
    pub(super) database: Database,
    pub(super) wrong: Option<(SkipReason, String)>,
}

/// Databases with the same history on servers of the same major version.
pub(super) type SameHistory<'f> = Vec<(&'f Member, SurveyedMember)>;
