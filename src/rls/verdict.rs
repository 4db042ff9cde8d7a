//! The result of a probe, as people and machines read it.

use serde::Serialize;

use crate::finding::Severity;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeOutcome {
    /// Another tenant was reached.
    Leak,
    /// It could not be tried, or nothing showed that the attempt could have succeeded.
    #[serde(rename = "not-proven")]
    Inconclusive,
    /// Refused, while what must succeed did.
    #[serde(rename = "holds")]
    Passed,
}

/// How much a leak gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Numbers or existence.
    Low,
    /// References and names.
    Medium,
    /// Needs a further condition.
    High,
    /// Rows of another tenant, read or written.
    Critical,
}

impl Weight {
    pub(super) fn word(self) -> &'static str {
        match self {
            Weight::Low => "low",
            Weight::Medium => "medium",
            Weight::High => "high",
            Weight::Critical => "critical",
        }
    }
}

/// Where the certainty comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvenBy {
    /// It was done.
    Probe,
    /// The catalog leaves no doubt; doing it would need a commit.
    Catalog,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// How it ended.
    pub verdict: ProbeOutcome,
    /// The table, view or function that was used.
    pub object: String,
    /// What was done.
    pub command: String,
    /// The role of the request.
    pub role: String,
    /// Who the request said it was.
    pub identity: String,
    /// The class of leak, such as `A01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How much it gives away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Weight>,
    /// Where the certainty comes from.
    pub proven_by: ProvenBy,
    /// The table whose rows are reached, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposes: Option<String>,
    /// How many rows of the other tenant were reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// SQL that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reproduce: Option<String>,
    /// What lets it through, or why nothing is proven.
    pub why: String,
}

impl Verdict {
    /// Makes a verdict of an attempt that reached rows without a tenant.
    pub(super) fn plain(
        verdict: ProbeOutcome,
        (object, command): (String, &str),
        (role, identity): (&str, &str),
        why: String,
    ) -> Verdict {
        Verdict {
            verdict,
            object,
            command: command.to_owned(),
            role: role.to_owned(),
            identity: identity.to_owned(),
            class: None,
            severity: None,
            proven_by: ProvenBy::Probe,
            exposes: None,
            rows: None,
            reproduce: None,
            why,
        }
    }

    /// Returns the severity a finding made of it has.
    pub fn as_severity(&self) -> Severity {
        match self.verdict {
            ProbeOutcome::Leak => Severity::Error,
            ProbeOutcome::Inconclusive => Severity::Warn,
            ProbeOutcome::Passed => Severity::Note,
        }
    }
}

/// Puts the worst first and names everything once.
pub fn settle(verdicts: &mut Vec<Verdict>) {
    let order = |one: &Verdict| {
        (
            one.verdict,
            std::cmp::Reverse(one.severity),
            one.object.clone(),
            one.command.clone(),
            one.role.clone(),
            one.identity.clone(),
        )
    };
    verdicts.sort_by_key(order);
    // The same act as the same role is reported once: by its first, usual identity.
    let mut seen = std::collections::BTreeSet::new();
    verdicts.retain(|one| {
        seen.insert((
            one.verdict,
            one.object.clone(),
            one.command.clone(),
            one.role.clone(),
            one.exposes.clone(),
        ))
    });
    let leaks: std::collections::BTreeSet<_> = verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Leak)
        .map(|one| (one.object.clone(), one.command.clone(), one.role.clone()))
        .collect();
    verdicts.retain(|one| {
        one.verdict == ProbeOutcome::Leak
            || !leaks.contains(&(one.object.clone(), one.command.clone(), one.role.clone()))
    });
}
