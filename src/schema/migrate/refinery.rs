//! Refinery decides which migrations run, in which order and with which history row; af-db executes them.
//!
//! The only file that names refinery. Its executor traits are implemented on [`Execution`], so that there is one loop
//! for everything. Refinery keeps several copies of each text it is given; it gets the version instead, and the text
//! is looked up here.

use std::fmt;

use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use refinery_core::{Migration as Theirs, Runner};

use crate::migrate::files::{Direction, Migration};
use crate::migrate::journal::JournalEntry;
use crate::plan::execution::Execution;
use crate::plan::step_failure::Stopped;
use crate::plan::{CompletedStep, Step, StepRecorder};

/// A migration to be applied or reverted: its step and its record.
pub struct MigrationJob<'j> {
    pub(crate) migration: &'j Migration,
    pub(crate) direction: Direction,
    pub(crate) step: Step,
    pub(crate) entry: JournalEntry,
    pub recorder: Box<dyn StepRecorder + 'j>,
}

/// What came of a run: what was applied, and why it stopped if it did.
pub(crate) struct Ran {
    pub(crate) applied: Vec<CompletedStep>,
    pub(crate) stopped: Option<Stopped>,
}

/// The adapter that refinery's runner drives.
struct Applying<'x, 'a, 'j> {
    execution: &'x mut Execution<'a>,
    jobs: &'x [MigrationJob<'j>],
    told: &'x (dyn Fn(usize, &CompletedStep) + Send + Sync),
    applied: Vec<CompletedStep>,
    stopped: Option<Stopped>,
}

/// The error returned to refinery when a step stopped; the reason itself is kept here.
#[derive(Debug)]
struct Halt;

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the step stopped")
    }
}

impl std::error::Error for Halt {}

impl AsyncTransaction for Applying<'_, '_, '_> {
    type Error = Halt;

    async fn execute<'q, T: Iterator<Item = &'q str> + Send + 'q>(
        &'q mut self,
        mut queries: T,
    ) -> Result<usize, Halt> {
        let (Some(marker), Some(_record)) = (queries.next(), queries.next()) else {
            // The history table, which stands already; its record of a migration comes as a second text.
            return Ok(0);
        };
        // Refinery runs what it was given by version, as the jobs are; the marker proves it.
        let job = self
            .jobs
            .get(self.applied.len())
            .filter(|job| job.migration.version.to_string() == marker);
        let job = job.expect("refinery runs what it was given, in order");
        match self.execution.run(&job.step, job.recorder.as_ref()).await {
            Ok(done) => {
                (self.told)(self.applied.len(), &done);
                self.applied.push(done);
                Ok(2)
            }
            Err(stopped) => {
                self.stopped = Some(stopped);
                Err(Halt)
            }
        }
    }
}

impl AsyncQuery<Vec<Theirs>> for Applying<'_, '_, '_> {
    async fn query<'q>(&'q mut self, _query: &'q str) -> Result<Vec<Theirs>, Halt> {
        // The history was read, and compared with every file, before; what is pending was handed over.
        Ok(Vec::new())
    }
}

impl AsyncMigrate for Applying<'_, '_, '_> {}

/// Lets refinery's runner apply the jobs, in its order.
pub(crate) async fn run<'x>(
    execution: &'x mut Execution<'_>,
    jobs: &'x [MigrationJob<'_>],
    told: &'x (dyn Fn(usize, &CompletedStep) + Send + Sync),
) -> anyhow::Result<Ran> {
    let mut theirs = Vec::with_capacity(jobs.len());
    for job in jobs {
        let migration = job.migration;
        let stem = format!(
            "{}{}__{}",
            migration.prefix, migration.version, migration.name
        );
        theirs.push(Theirs::unapplied(&stem, &migration.version.to_string())?);
    }
    let mut applying = Applying {
        execution,
        jobs,
        told,
        applied: Vec::new(),
        stopped: None,
    };
    let ran = Runner::new(&theirs).run_async(&mut applying).await;
    if let (Err(error), None) = (&ran, &applying.stopped) {
        // Refinery itself refused; nothing has run that is not in `applied`.
        anyhow::bail!("{error}");
    }
    Ok(Ran {
        applied: applying.applied,
        stopped: applying.stopped,
    })
}

/// Returns which versions refinery would apply, or why it refuses.
///
/// For proving that our comparison agrees with refinery's.
pub async fn verdict(
    files: &[Migration],
    rows: &[crate::migrate::history::HistoryRow],
) -> Result<Vec<i64>, String> {
    struct Asking(Vec<Theirs>);
    impl AsyncTransaction for Asking {
        type Error = Halt;
        async fn execute<'q, T: Iterator<Item = &'q str> + Send + 'q>(
            &'q mut self,
            _: T,
        ) -> Result<usize, Halt> {
            Ok(0)
        }
    }
    impl AsyncQuery<Vec<Theirs>> for Asking {
        async fn query<'q>(&'q mut self, _: &'q str) -> Result<Vec<Theirs>, Halt> {
            Ok(self.0.clone())
        }
    }
    impl AsyncMigrate for Asking {}
    let mut theirs = Vec::with_capacity(files.len());
    for file in files {
        let stem = format!("{}{}__{}", file.prefix, file.version, file.name);
        theirs.push(Theirs::unapplied(&stem, &file.up.text).map_err(|error| error.to_string())?);
    }
    let mut applied = Vec::with_capacity(rows.len());
    for row in rows {
        let format = &time::format_description::well_known::Rfc3339;
        let time = time::OffsetDateTime::parse(&row.applied_on, format)
            .map_err(|error| error.to_string())?;
        let checksum = row.checksum.parse().map_err(|_| "checksum".to_owned())?;
        applied.push(Theirs::applied(
            row.version,
            row.name.clone(),
            time,
            checksum,
        ));
    }
    let report = Runner::new(&theirs)
        .run_async(&mut Asking(applied))
        .await
        .map_err(|error| error.to_string())?;
    Ok(report
        .applied_migrations()
        .iter()
        .map(Theirs::version)
        .collect())
}
