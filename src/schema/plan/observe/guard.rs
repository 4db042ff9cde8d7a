//! The last look before a commit: what a transaction really did, compared with what was seen on the shadow database.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use anyhow::Result;
use tokio_postgres::Row;

use crate::pg::session::Session;
use crate::plan::observe::inventory::{Inventory, RelationEntry};
use crate::plan::observe::lock::LockMode;
use crate::plan::observe::{NewRelations, RelationKind, StatementObservation, StepObservation};
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;

/// What a plan is expected to do to the target.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// What each step did on the shadow database.
    pub steps: Vec<StepObservation>,
    /// The tables that code which the steps run may write next to those; none where that cannot be known.
    pub reach: Option<BTreeSet<String>>,
    /// Whether event triggers run, which the shadow database does not have and which may create further objects.
    pub has_event_triggers: bool,
    /// The history table, which every run writes.
    pub history: String,
}

impl Prediction {
    /// Returns what was seen of a step.
    pub fn step(&self, label: &str) -> Option<&StepObservation> {
        self.steps.iter().find(|step| step.label == label)
    }
}

/// A part of a step that is about to be committed.
#[derive(Clone, Debug)]
pub struct CommittedPart<'a> {
    /// What was seen of the step.
    pub step: &'a StepObservation,
    /// The numbers of the statements that ran.
    pub statements: RangeInclusive<usize>,
    /// Which of the step's transactions it is, from 1.
    pub unit: usize,
}

/// The relations of the target under the names they had before the plan, and those that the plan has created since.
///
/// A relation is known by its oid: it keeps its place however it is renamed, and one that is dropped and created again is
/// another one.
#[derive(Debug, Default)]
pub struct TargetSnapshot {
    before: HashMap<u32, RelationEntry>,
    created: HashSet<u32>,
    /// The rows written and deleted before the transaction that are not yet flushed to the server's statistics.
    counted: HashMap<u32, (i64, i64)>,
}

impl TargetSnapshot {
    /// Takes stock before the plan.
    pub async fn take(target: &Session) -> Result<TargetSnapshot> {
        Ok(TargetSnapshot {
            before: Inventory::read(target).await?.entries,
            ..TargetSnapshot::default()
        })
    }

    /// Begins to count rows: each time before a transaction begins, or begins again.
    pub async fn count(&mut self, target: &Session) -> Result<()> {
        if target.server_info().version_num >= 150_000 {
            // Flushes what was counted so far. Where the function may not be called, the counts are subtracted.
            let _ = target
                .run(&Sql::new("SELECT pg_catalog.pg_stat_force_next_flush()"))
                .await;
        }
        let rows = target
            .query(include_str!("queries/written.sql"), &[])
            .await?;
        let counts = rows.iter().map(|row| {
            Ok((
                row.try_get("relation")?,
                (row.try_get("written")?, row.try_get("deleted")?),
            ))
        });
        self.counted = counts.collect::<Result<_>>()?;
        Ok(())
    }

    /// Refreshes the snapshot before a transaction: file locations, and relations that others have created.
    pub async fn refresh(&mut self, target: &Session) -> Result<()> {
        for (id, entry) in Inventory::read(target).await?.entries {
            match self.before.get_mut(&id) {
                Some(known) => known.file = entry.file,
                None if self.created.contains(&id) => {}
                None => {
                    self.before.insert(id, entry);
                }
            }
        }
        Ok(())
    }

    /// Adds new relations to those created by the plan, after a non-transactional statement.
    pub async fn adopt(&mut self, target: &Session) -> Result<()> {
        let now = Inventory::read(target).await?.entries;
        let new = now.into_keys().filter(|id| !self.before.contains_key(id));
        self.created.extend(new);
        Ok(())
    }

    /// Returns what a transaction did that was not predicted, in words; to be asked right before its COMMIT.
    ///
    /// Only surprises count: a lock that keeps writers waiting, a file rewritten, rows of a table that the plan does not
    /// speak of, a new table. Less than predicted is welcome.
    pub async fn deviations(
        &mut self,
        target: &Session,
        prediction: &Prediction,
        part: &CommittedPart<'_>,
    ) -> Result<Vec<String>> {
        let rows = target
            .query(include_str!("queries/committing.sql"), &[])
            .await?;
        let mut deviations = BTreeSet::new();
        for row in &rows {
            let relation: u32 = row.try_get("relation")?;
            let found = match self.before.get(&relation) {
                Some(entry) if prediction.is_ours(&entry.name) => continue,
                Some(entry) => self.changed(relation, entry, row, prediction, part)?,
                // A relation comes once for each mode it is locked in.
                None if !self.created.insert(relation) => continue,
                None if prediction.has_event_triggers => continue,
                None => part.surprise(row)?.into_iter().collect(),
            };
            deviations.extend(found);
        }
        Ok(deviations.into_iter().collect())
    }

    /// Reports what has happened to a relation that was there before the plan.
    fn changed(
        &self,
        relation: u32,
        entry: &RelationEntry,
        row: &Row,
        prediction: &Prediction,
        part: &CommittedPart<'_>,
    ) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let name = &entry.name;
        let mode = LockMode::parse(row.try_get("mode")?);
        let allowed = part.lock(name);
        // An index is locked after its table.
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
            found.push(format!("it took an {mode} lock on {name}, {instead}"));
        }
        let file: Option<u32> = row.try_get("file")?;
        let changed = file.is_some_and(|file| file != entry.file);
        let table = entry.table.and_then(|table| self.before.get(&table));
        let of = table.map_or(name.as_str(), |table| table.name.as_str());
        // A sequence that starts again has a new file, too, and no rows in it.
        let surprising = !part.rewrites(of) && !part.builds(name);
        if changed && entry.kind != RelationKind::Sequence && surprising {
            found.push(format!("it rewrote {name}, which was not predicted"));
        }
        let reached = prediction
            .reach
            .as_ref()
            .is_none_or(|reach| reach.contains(name));
        if entry.kind != RelationKind::Table || reached || part.rewrites(name) {
            return Ok(found);
        }
        let counted = self.counted.get(&relation).copied().unwrap_or_default();
        let written = row.try_get::<_, i64>("written")? - counted.0;
        let deleted = row.try_get::<_, i64>("deleted")? - counted.1;
        let rows = part.rows(name);
        // An update may move rows from one partition to another.
        let moves = row.try_get("is_partition")? && rows.is_some();
        if deleted > 0 && rows != Some(true) && !moves {
            found.push(format!(
                "it deleted {deleted} rows of {name}, which was not predicted"
            ));
        } else if written > 0 && rows.is_none() {
            found.push(format!(
                "it wrote {written} rows of {name}, which was not predicted"
            ));
        }
        Ok(found)
    }
}

impl Prediction {
    /// Whether a relation is one of those that every run writes into.
    fn is_ours(&self, name: &str) -> bool {
        name.starts_with("af_db.") || name == self.history
    }
}

impl CommittedPart<'_> {
    fn lock(&self, relation: &str) -> Option<LockMode> {
        self.predicted()
            .flat_map(|statement| &statement.locks)
            .filter(|lock| lock.relation == relation)
            .map(|lock| lock.mode)
            .max()
    }

    fn rewrites(&self, relation: &str) -> bool {
        self.predicted()
            .any(|statement| statement.rewrites.iter().any(|it| it.relation == relation))
    }

    fn builds(&self, index: &str) -> bool {
        self.predicted()
            .any(|statement| statement.builds.iter().any(|it| it.index == index))
    }

    /// Whether rows of a table were predicted to be deleted; nothing where none were to be written at all.
    fn rows(&self, relation: &str) -> Option<bool> {
        self.predicted()
            .flat_map(|statement| &statement.rows)
            .filter(|rows| rows.relation == relation)
            .map(|rows| rows.deletes || rows.deleted > 0)
            .max()
    }

    /// Reports of a table or view that is new and was not predicted.
    fn surprise(&self, row: &Row) -> Result<Option<String>> {
        let Some(letter) = row.try_get::<_, Option<&str>>("kind")? else {
            return Ok(None);
        };
        if matches!(
            RelationKind::from_relkind(letter),
            None | Some(RelationKind::Index | RelationKind::Sequence)
        ) {
            return Ok(None);
        }
        let (schema, name): (&str, &str) = (row.try_get("schema")?, row.try_get("name")?);
        let name = ObjectName::new(schema, name).to_string();
        let is_temporary = schema.starts_with("pg_temp");
        let left = self.step.left.iter().filter(|left| left.unit == self.unit);
        let predicted = left
            .flat_map(|left: &NewRelations| {
                left.created
                    .iter()
                    .chain(left.renamed.iter().map(|it| &it.to))
            })
            .any(|created| *created == name);
        let told = || format!("it created {name}, which was not predicted");
        Ok((!is_temporary && !predicted).then(told))
    }

    fn predicted(&self) -> impl Iterator<Item = &StatementObservation> {
        self.step
            .statements
            .iter()
            .filter(|statement| self.statements.contains(&statement.number))
    }
}
