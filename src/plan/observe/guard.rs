//! Owns the last look before a commit: what really happened, held against what was seen on the shadow.

use std::ops::RangeInclusive;

use anyhow::Result;

use crate::pg::session::Session;
use crate::plan::observe::inventory::Inventory;
use crate::plan::observe::lock::LockMode;
use crate::plan::observe::{Relation, StatementObservation, StepObservation};

/// What the target's relations were like before a step.
pub struct Before(Inventory);

/// Takes stock before a step; one question.
pub async fn before(target: &Session) -> Result<Before> {
    Ok(Before(Inventory::read(target).await?))
}

/// Gives what a transaction did that was not predicted, in words; to be asked right before its COMMIT.
///
/// Only surprises count: a lock that keeps writers waiting, a file written anew. Less than predicted is welcome.
pub async fn deviations(
    target: &Session,
    before: &Before,
    predicted: &StepObservation,
    statements: RangeInclusive<usize>,
) -> Result<Vec<String>> {
    let rows = target
        .query(include_str!("queries/committing.sql"), &[])
        .await?;
    let expected = predicted.within(&statements);
    let mut deviations = Vec::new();
    for row in rows {
        let relation: u32 = row.try_get("relation")?;
        let Some(entry) = before.0.get(relation) else {
            continue;
        };
        if is_ours(&entry.name) {
            continue;
        }
        let mode = LockMode::parse(row.try_get("mode")?);
        let allowed = expected.lock(&entry.name);
        let covered = entry.table.is_some();
        if let Some(mode) = mode
            && mode.blocks_writes()
            && !covered
            && allowed.is_none_or(|allowed| allowed < mode)
        {
            let instead = match allowed {
                Some(allowed) => format!("{allowed} was predicted"),
                None => "none was predicted".to_owned(),
            };
            deviations.push(format!(
                "it took a lock {mode} on {}, {instead}",
                entry.name
            ));
        }
        let file: Option<u32> = row.try_get("file")?;
        let changed = file.is_some_and(|file| file != entry.file);
        let table = entry.table.and_then(|table| before.0.get(table));
        let of = table.map_or(entry.name.as_str(), |table| table.name.as_str());
        // A sequence that starts again has a new file, too, and no rows in it.
        let surprising = !expected.rewrites(of) && !expected.builds(&entry.name);
        if changed && entry.kind != Relation::Sequence && surprising {
            deviations.push(format!(
                "it wrote {} anew, which was not predicted",
                entry.name
            ));
        }
    }
    deviations.sort();
    deviations.dedup();
    Ok(deviations)
}

/// Says whether a relation is one of the books that every run writes into.
fn is_ours(name: &str) -> bool {
    name.starts_with("af_db.") || name.ends_with(".refinery_schema_history")
}

/// What was predicted for some statements of a step.
struct Expected<'a> {
    predicted: &'a StepObservation,
    statements: RangeInclusive<usize>,
}

impl StepObservation {
    fn within(&self, statements: &RangeInclusive<usize>) -> Expected<'_> {
        Expected {
            predicted: self,
            statements: statements.clone(),
        }
    }
}

impl Expected<'_> {
    fn lock(&self, relation: &str) -> Option<LockMode> {
        self.statements()
            .flat_map(|statement| &statement.locks)
            .filter(|lock| lock.relation == relation)
            .map(|lock| lock.mode)
            .max()
    }

    fn rewrites(&self, relation: &str) -> bool {
        self.statements()
            .any(|statement| statement.rewrites.iter().any(|it| it.relation == relation))
    }

    fn builds(&self, index: &str) -> bool {
        self.statements()
            .any(|statement| statement.builds.iter().any(|it| it.index == index))
    }

    fn statements(&self) -> impl Iterator<Item = &StatementObservation> {
        self.predicted
            .statements
            .iter()
            .filter(|statement| self.statements.contains(&statement.number))
    }
}
