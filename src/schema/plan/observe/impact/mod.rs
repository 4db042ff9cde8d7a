//! Estimates the impact of observed effects from the target's table sizes and write rates.

mod sizes;
mod wording;

pub use self::sizes::{RelationSize, Sizes, sizes};

use serde::{Deserialize, Serialize};

use crate::finding::Severity;
use crate::plan::observe::lock::LockMode;
use crate::plan::observe::{RewriteKind, StatementObservation, StepObservation};

/// One thing about one statement that a person must weigh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Impact {
    /// The step, from 0.
    pub step: usize,
    /// The statement of the step, from 1.
    pub statement: usize,
    /// What it is about.
    pub aspect: ImpactKind,
    /// The relation or object.
    pub object: String,
    /// The strongest lock held on it while the statement runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockMode>,
    /// The time it takes, in seconds, at best and at worst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<(u64, u64)>,
    /// How much it matters.
    #[serde(skip_deserializing, default = "note")]
    pub severity: Severity,
    /// All of it in words.
    pub words: String,
}

fn note() -> Severity {
    Severity::Note
}

/// What a weight is about; in rising order of what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImpactKind {
    /// A lock held briefly.
    Lock,
    /// Rows written.
    Rows,
    /// Who may do what.
    Security,
    /// A table read from end to end.
    Scan,
    /// An index built.
    Build,
    /// A table rewritten.
    Rewrite,
    /// Something dropped that holds no rows.
    Drop,
    /// Rows lost.
    Loss,
}

/// Where work under a blocking lock begins to matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// A smaller relation is only noted.
    pub warn_bytes: u64,
    /// A larger one is an error.
    pub error_bytes: u64,
    /// From this many writes a second on, a warning is an error.
    pub error_writes: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            warn_bytes: 8 << 20,
            error_bytes: 128 << 20,
            error_writes: 100,
        }
    }
}

/// What a statement does to one relation, all of it together.
#[derive(Default)]
struct RelationWork {
    rewrite: Option<RewriteKind>,
    scans: u32,
    builds: usize,
    written: bool,
    deleted: bool,
}

impl RelationWork {
    fn aspect(&self) -> ImpactKind {
        match self {
            RelationWork {
                rewrite: Some(RewriteKind::Truncated),
                ..
            } => ImpactKind::Loss,
            RelationWork {
                rewrite: Some(_), ..
            } => ImpactKind::Rewrite,
            RelationWork { builds: 1.., .. } => ImpactKind::Build,
            RelationWork { scans: 1.., .. } => ImpactKind::Scan,
            RelationWork { written: true, .. } => ImpactKind::Rows,
            _ => ImpactKind::Lock,
        }
    }
}

/// Compares what was seen against the sizes of the target.
pub fn estimate(
    observations: &[StepObservation],
    sizes: &Sizes,
    thresholds: &Thresholds,
) -> Vec<Impact> {
    let mut weights = Vec::new();
    for (step, observation) in observations.iter().enumerate() {
        for statement in &observation.statements {
            weights.extend(relations(step, observation, statement, sizes, thresholds));
            weights.extend(cascades(step, statement, sizes));
            weights.extend(wording::objects(step, statement, sizes));
        }
    }
    weights
}

fn relations(
    step: usize,
    observation: &StepObservation,
    statement: &StatementObservation,
    sizes: &Sizes,
    thresholds: &Thresholds,
) -> Vec<Impact> {
    let held = observation.held(statement.number);
    let mut names: Vec<&str> = Vec::new();
    let strong = statement
        .locks
        .iter()
        .filter(|lock| lock.mode.blocks_writes());
    names.extend(strong.map(|lock| lock.relation.as_str()));
    names.extend(statement.rewrites.iter().map(|it| it.relation.as_str()));
    names.extend(statement.scans.iter().map(|it| it.relation.as_str()));
    names.extend(statement.builds.iter().map(|it| it.relation.as_str()));
    let spoken = statement.rows.iter().filter(|it| it.along.is_none());
    names.extend(spoken.map(|it| it.relation.as_str()));
    names.sort_unstable();
    names.dedup();
    // Dropped relations are reported as a loss.
    names.retain(|name| !statement.dropped.iter().any(|gone| gone.name == *name));
    let mut weights = Vec::new();
    for name in names {
        let lock = held.iter().find(|lock| lock.relation == name);
        let effort = effort(statement, name);
        let size = sizes.get(name).copied().unwrap_or_default();
        let seconds = size.seconds(&effort);
        let mode = lock.map(|lock| lock.mode);
        weights.push(Impact {
            step,
            statement: statement.number,
            aspect: effort.aspect(),
            object: name.to_owned(),
            lock: mode,
            seconds,
            severity: severity(&effort, mode, &size, thresholds),
            words: wording::relation(name, lock, &size, &effort),
        });
    }
    weights
}

/// Estimates the impact on rows changed by CASCADE, which the statement does not mention.
fn cascades(step: usize, statement: &StatementObservation, sizes: &Sizes) -> Vec<Impact> {
    let mut weights = Vec::new();
    for rows in &statement.rows {
        let Some(along) = &rows.along else { continue };
        let size = sizes.get(&rows.relation).copied().unwrap_or_default();
        let severity = if size.is_empty() {
            Severity::Note
        } else {
            Severity::Warn
        };
        weights.push(Impact {
            step,
            statement: statement.number,
            aspect: ImpactKind::Rows,
            object: rows.relation.clone(),
            lock: None,
            seconds: None,
            severity,
            words: wording::along(rows, along, &size),
        });
    }
    weights
}

fn effort(statement: &StatementObservation, name: &str) -> RelationWork {
    RelationWork {
        rewrite: statement
            .rewrites
            .iter()
            .find(|it| it.relation == name)
            .map(|it| it.how),
        scans: statement
            .scans
            .iter()
            .find(|it| it.relation == name)
            .map_or(0, |it| it.times),
        builds: statement
            .builds
            .iter()
            .filter(|it| it.relation == name)
            .count(),
        written: statement.rows.iter().any(|it| it.relation == name),
        deleted: statement
            .rows
            .iter()
            .any(|it| it.relation == name && it.deletes),
    }
}

/// Work matters as much as it keeps others waiting, and as the relation is large and busy.
fn severity(
    effort: &RelationWork,
    lock: Option<LockMode>,
    size: &RelationSize,
    thresholds: &Thresholds,
) -> Severity {
    let aspect = effort.aspect();
    if aspect == ImpactKind::Loss {
        return if size.is_empty() {
            Severity::Warn
        } else {
            Severity::Error
        };
    }
    let blocks = lock.is_some_and(LockMode::blocks_writes);
    let works = aspect >= ImpactKind::Scan || effort.written && blocks;
    if !works || !blocks {
        return Severity::Note;
    }
    let busy = size
        .writes
        .is_some_and(|writes| writes >= thresholds.error_writes);
    match size.work(effort) {
        None => Severity::Warn,
        Some(bytes) if bytes < thresholds.warn_bytes => Severity::Note,
        Some(bytes) if bytes >= thresholds.error_bytes || busy => Severity::Error,
        Some(_) => Severity::Warn,
    }
}
