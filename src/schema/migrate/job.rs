//! A migration as a step to be applied or reverted, with its history row and journal row.

use crate::migrate::checksum::{self, Width};
use crate::migrate::files::{Direction, Migration, MigrationFile};
use crate::migrate::history::{self, HistoryRow};
use crate::migrate::journal::{self, JournalEntry, JournalState, RunIdentity, Unfinished};
use crate::migrate::refinery::MigrationJob;
use crate::plan::{Mode, Step, StepRecorder, UnitMoment};
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;

/// Where a run is recorded, and as whom.
#[derive(Clone, Debug)]
pub struct RecordSettings {
    /// Refinery's history.
    pub history: ObjectName,
    pub width: Width,
    /// Who runs.
    pub run: RunIdentity,
}

struct MigrationRecorder<'j> {
    ledger: &'j RecordSettings,
    migration: &'j Migration,
    direction: Direction,
    // What every row of it says; the hashes of large files are not taken twice.
    entry: JournalEntry,
}

impl MigrationRecorder<'_> {
    fn append(&self, state: JournalState, statement: usize, note: &Sql) -> Sql {
        let entry = JournalEntry {
            statement: Some(statement),
            note_expression: Some(note.clone()),
            ..self.entry.clone()
        };
        journal::append(&self.ledger.run, state, &entry)
    }
}

impl StepRecorder for MigrationRecorder<'_> {
    fn lock_history(&self) -> Sql {
        history::lock(&self.ledger.history)
    }

    fn history_is_locked(&self) -> Option<Sql> {
        Some(history::is_locked(&self.ledger.history))
    }

    fn unit_began(&self, unit: usize, note: &Sql) -> Sql {
        self.append(JournalState::unit_began(self.direction), unit, note)
    }

    fn unit_done(&self, unit: usize, note: &Sql) -> Sql {
        self.append(JournalState::unit_done(self.direction), unit, note)
    }

    fn unit_note(&self, unit: usize, moment: UnitMoment) -> Option<Sql> {
        let state = match moment {
            UnitMoment::Began => JournalState::unit_began(self.direction),
            UnitMoment::Done => JournalState::unit_done(self.direction),
        };
        let version = self.migration.version;
        Some(journal::noted(&self.ledger.run, state, version, unit))
    }

    fn step_done(&self, statements: usize, lock_waits: usize) -> Sql {
        let ledger = self.ledger;
        let change = match self.direction {
            Direction::Up => history::insert(&ledger.history, &row(self.migration, ledger.width)),
            Direction::Down => history::delete(&ledger.history, self.migration.version),
        };
        let entry = JournalEntry {
            statement: Some(statements),
            lock_waits,
            ..self.entry.clone()
        };
        let record = journal::append(&ledger.run, JournalState::whole(self.direction), &entry);
        Sql::fill("{};\n{}", &[&change, &record])
    }

    fn is_recorded(&self) -> Option<Sql> {
        let row = row(self.migration, self.ledger.width);
        (self.direction == Direction::Up).then(|| history::is_present(&self.ledger.history, &row))
    }

    fn is_recorded_by_this_run(&self, unit: Option<usize>) -> Option<Sql> {
        let state = match unit {
            Some(_) => JournalState::unit_done(self.direction),
            None => JournalState::whole(self.direction),
        };
        let version = Some(self.migration.version);
        Some(journal::landed(&self.ledger.run, state, version, unit))
    }
}

/// Returns the history row of a migration applied now.
pub fn row(migration: &Migration, width: Width) -> HistoryRow {
    HistoryRow {
        version: migration.version,
        name: migration.name.clone(),
        applied_on: history::now(),
        checksum: checksum::refinery(
            &migration.name,
            migration.version,
            &migration.up.text,
            width,
        )
        .to_string(),
    }
}

/// Returns the step that runs a migration one way, from its beginning; none where there is no such way.
pub fn step(migration: &Migration, direction: Direction) -> Option<Step> {
    let (script, directives) = migration.script(direction)?;
    let mode = if directives.no_transaction {
        Mode::Statements
    } else {
        Mode::Transaction
    };
    Some(Step {
        label: script.shown.clone(),
        text: script.text.clone(),
        mode,
        timeout: directives.timeout,
        done: 0,
        uncertain: false,
    })
}

/// Returns a migration as a job: behind what an earlier run left done, where it left it half-way.
pub fn job<'j>(
    ledger: &'j RecordSettings,
    migration: &'j Migration,
    direction: Direction,
    half: Option<&Unfinished>,
    note: Option<String>,
) -> Option<MigrationJob<'j>> {
    let mut step = step(migration, direction)?;
    if let Some(half) = half {
        step.uncertain = half.is_uncertain();
        // The statement that was started is the one after those that are done.
        step.done = half.statement - usize::from(step.uncertain && half.statement > 0);
    }
    let sha256 = |script: &MigrationFile| checksum::sha256(&script.text);
    let entry = JournalEntry {
        version: Some(migration.version),
        name: Some(migration.name.clone()),
        up_sha256: Some(sha256(&migration.up)),
        down_sha256: migration.down.as_ref().map(sha256),
        started: Some(history::now()),
        note,
        ..JournalEntry::default()
    };
    let recorder = MigrationRecorder {
        ledger,
        migration,
        direction,
        entry: entry.clone(),
    };
    Some(MigrationJob {
        migration,
        direction,
        step,
        entry,
        recorder: Box::new(recorder),
    })
}
