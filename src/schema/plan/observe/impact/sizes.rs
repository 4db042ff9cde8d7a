//! Sizes of the target's tables, and how long work on them takes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::plan::observe::impact::RelationWork;
use crate::plan::observe::{RewriteKind, StepObservation};

/// How large and how busy a relation is, as the target last counted; nothing where it never did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RelationSize {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The bytes of its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_bytes: Option<u64>,
    /// The rows written in a second, on average since the statistics were reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
}

/// Sizes by the name of the relation.
pub type Sizes = BTreeMap<String, RelationSize>;

/// Bytes a second that a table is rewritten with, all its indexes included; at worst and at best.
const REWRITING: (u64, u64) = (62_000_000, 114_000_000);
/// Bytes a second of a table that an index is built over.
const BUILDING: (u64, u64) = (50_000_000, 150_000_000);
/// Bytes a second that a table is read with.
const READING: (u64, u64) = (150_000_000, 550_000_000);

/// Asks the target how large and busy the relations of observations are; one question, no lock.
pub async fn sizes(target: &Session, observations: &[StepObservation]) -> Result<Sizes> {
    let names: Vec<String> = relations(observations).into_iter().collect();
    let rows = target
        .query(
            include_str!("../queries/sizes.sql"),
            &[(&names, Type::TEXT_ARRAY)],
        )
        .await?;
    let mut sizes = Sizes::new();
    for row in rows {
        let (counted, seconds): (f64, Option<f64>) =
            (row.try_get("rows")?, row.try_get("seconds")?);
        let bytes: i64 = row.try_get("bytes")?;
        let index_bytes: i64 = row.try_get("index_bytes")?;
        // Never analyzed: zero rows and zero pages are then not known facts.
        let known = counted >= 0.0 || bytes > 0;
        let writes: Option<f64> = row.try_get("writes")?;
        let rate = writes
            .zip(seconds)
            .filter(|(_, seconds)| *seconds >= 1.0)
            .map(|(writes, seconds)| whole(writes / seconds));
        sizes.insert(
            row.try_get("name")?,
            RelationSize {
                rows: (counted >= 0.0).then(|| whole(counted)),
                bytes: known.then_some(u64::try_from(bytes).unwrap_or(0)),
                index_bytes: known.then_some(u64::try_from(index_bytes).unwrap_or(0)),
                writes: rate,
            },
        );
    }
    Ok(sizes)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are never negative, and saturate"
)]
fn whole(number: f64) -> u64 {
    number.round().max(0.0) as u64
}

fn relations(observations: &[StepObservation]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in observations.iter().flat_map(|step| &step.statements) {
        names.extend(statement.locks.iter().map(|it| it.relation.clone()));
        names.extend(statement.rewrites.iter().map(|it| it.relation.clone()));
        names.extend(statement.scans.iter().map(|it| it.relation.clone()));
        names.extend(statement.builds.iter().map(|it| it.relation.clone()));
        names.extend(statement.rows.iter().map(|it| it.relation.clone()));
        names.extend(statement.dropped.iter().filter_map(|it| it.loses.clone()));
    }
    names
}

impl RelationSize {
    /// Whether there is surely nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == Some(0) && self.rows == Some(0)
    }

    /// Returns how many bytes are worked through.
    pub(super) fn work(&self, effort: &RelationWork) -> Option<u64> {
        let bytes = self.bytes?;
        let indexes = self.index_bytes.unwrap_or(0);
        Some(match effort.rewrite {
            Some(RewriteKind::Truncated) => 0,
            Some(_) => bytes + indexes,
            None => bytes,
        })
    }

    /// Returns how long it takes, in seconds, at best and at worst.
    pub(super) fn seconds(&self, effort: &RelationWork) -> Option<(u64, u64)> {
        let bytes = self.work(effort)?;
        let builds = u64::try_from(effort.builds).unwrap_or(u64::MAX);
        let (bytes, (slow, fast)) = match effort.rewrite {
            Some(RewriteKind::Truncated) => return None,
            Some(_) => (bytes, REWRITING),
            None if builds > 0 => (bytes.saturating_mul(builds), BUILDING),
            None if effort.scans > 0 => (bytes.saturating_mul(effort.scans.into()), READING),
            None => return None,
        };
        Some((bytes / fast, bytes / slow))
    }
}
