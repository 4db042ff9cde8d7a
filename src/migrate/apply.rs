//! Owns applying and reverting: each migration as a step with its history row and journal row beside it.

use anyhow::Result;

use crate::error::{Exit, Failure, with_exit};
use crate::event::{Event, Watch};
use crate::finding::{Finding, Place};
use crate::migrate::checksum::{self, Width};
use crate::migrate::files::{Migration, Script};
use crate::migrate::history::{self, Row};
use crate::migrate::journal::{self, Entry, Run, State, Unfinished};
use crate::migrate::refinery::{self, Job};
use crate::plan::execution::Execution;
use crate::plan::trouble::{Stopped, Trouble};
use crate::plan::unit::{self, Control};
use crate::plan::{Books, Done, Mode, Step};
use crate::sql::name::ObjectName;
use crate::sql::position;
use crate::sql::safe::Sql;

/// The books a run writes into.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Refinery's history.
    pub history: ObjectName,
    /// Its width.
    pub width: Width,
    /// Who runs.
    pub run: Run,
}

/// Which way a migration is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Applied.
    Up,
    /// Reverted.
    Down,
}

/// A migration that was applied or reverted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// The version.
    pub version: i64,
    /// The name.
    pub name: String,
    /// The file that was run.
    pub file: String,
    /// How many statements it has.
    pub statements: usize,
    /// How often a lock was waited for in vain.
    pub lock_waits: usize,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a run did, and why it stopped if it did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is done, in order.
    pub applied: Vec<Applied>,
    /// Why it stopped.
    pub stopped: Option<Failure>,
}

/// The record of one migration.
struct MigrationBooks<'j> {
    ledger: &'j Ledger,
    migration: &'j Migration,
    direction: Direction,
    started: String,
    note: Option<String>,
}

impl MigrationBooks<'_> {
    fn entry(&self) -> Entry {
        let down = self.migration.down.as_ref();
        Entry {
            version: Some(self.migration.version),
            name: Some(self.migration.name.clone()),
            up_sha256: Some(checksum::sha256(&self.migration.up.text)),
            down_sha256: down.map(|down| checksum::sha256(&down.text)),
            started: Some(self.started.clone()),
            note: self.note.clone(),
            ..Entry::default()
        }
    }

    fn append(&self, state: State, statement: usize, lock_waits: usize) -> Sql {
        let entry = Entry {
            statement: Some(statement),
            lock_waits,
            ..self.entry()
        };
        journal::append(&self.ledger.run, state, &entry)
    }
}

impl Books for MigrationBooks<'_> {
    fn opening(&self) -> Sql {
        history::lock(&self.ledger.history)
    }

    fn began(&self, unit: usize) -> Sql {
        self.append(State::UnitBegan, unit, 0)
    }

    fn unit(&self, unit: usize) -> Sql {
        self.append(State::UnitDone, unit, 0)
    }

    fn closing(&self, statements: usize, lock_waits: usize) -> Sql {
        let ledger = self.ledger;
        let (change, state) = match self.direction {
            Direction::Up => (
                history::insert(&ledger.history, &row(self.migration, ledger.width)),
                State::Applied,
            ),
            Direction::Down => (
                history::delete(&ledger.history, self.migration.version),
                State::Reverted,
            ),
        };
        Sql::fill(
            "{};\n{}",
            &[&change, &self.append(state, statements, lock_waits)],
        )
    }
}

/// Gives the history row of a migration applied now.
pub fn row(migration: &Migration, width: Width) -> Row {
    Row {
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

/// Applies migrations, in refinery's order; stops at the first that fails.
pub async fn up(
    execution: &mut Execution<'_>,
    ledger: &Ledger,
    migrations: &[&Migration],
    unfinished: &[Unfinished],
    watch: Watch<'_>,
) -> Result<Outcome> {
    let jobs: Vec<Job<'_>> = migrations
        .iter()
        .map(|migration| {
            let half = unfinished
                .iter()
                .find(|half| half.version == migration.version);
            job(ledger, migration, Direction::Up, half, None)
        })
        .collect();
    let clock = std::sync::Mutex::new(std::time::Instant::now());
    let times = std::sync::Mutex::new(Vec::new());
    let told = |index: usize, done: &Done| {
        let mut clock = clock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let took = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        *clock = std::time::Instant::now();
        times
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(took);
        say_done(&jobs[index], done, took, "applied", watch);
    };
    let ran = refinery::run(execution, &jobs, &told).await?;
    let times = times
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let pairs = jobs.iter().zip(&ran.applied).zip(times);
    let applied: Vec<Applied> = pairs
        .map(|((job, done), took)| applied_of(job, done, took))
        .collect();
    let mut outcome = Outcome {
        applied,
        stopped: None,
    };
    if let Some(stopped) = ran.stopped {
        let at = outcome.applied.len();
        outcome.stopped = Some(halt(execution, ledger, &jobs, at, stopped).await);
    }
    Ok(outcome)
}

/// Reverts migrations in the order given; stops at the first that fails.
pub async fn down(
    execution: &mut Execution<'_>,
    ledger: &Ledger,
    migrations: &[&Migration],
    note: Option<String>,
    watch: Watch<'_>,
) -> Result<Outcome> {
    let jobs: Vec<Job<'_>> = migrations
        .iter()
        .map(|migration| job(ledger, migration, Direction::Down, None, note.clone()))
        .collect();
    let mut outcome = Outcome::default();
    for (at, job) in jobs.iter().enumerate() {
        let began = std::time::Instant::now();
        match execution.run(&job.step, job.books.as_ref()).await {
            Ok(done) => {
                let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                say_done(job, &done, took, "reverted", watch);
                outcome.applied.push(applied_of(job, &done, took));
            }
            Err(stopped) => {
                outcome.stopped = Some(halt(execution, ledger, &jobs, at, stopped).await);
                break;
            }
        }
    }
    Ok(outcome)
}

fn job<'j>(
    ledger: &'j Ledger,
    migration: &'j Migration,
    direction: Direction,
    half: Option<&Unfinished>,
    note: Option<String>,
) -> Job<'j> {
    let uncertain = half.is_some_and(Unfinished::is_uncertain);
    // The statement that was begun is the one after those that are done.
    let done = half.map_or(0, |half| {
        half.statement - usize::from(uncertain && half.statement > 0)
    });
    let (script, directives) = script(migration, direction);
    let mode = if directives.no_transaction {
        Mode::Statements
    } else {
        Mode::Transaction
    };
    let step = Step {
        label: script.shown.clone(),
        text: script.text.clone(),
        mode,
        timeout: directives.timeout,
        done,
        uncertain,
    };
    let books = MigrationBooks {
        ledger,
        migration,
        direction,
        started: history::now(),
        note,
    };
    Job {
        migration,
        step,
        books: Box::new(books),
    }
}

/// Gives the file that is run and what it says about how.
fn script(
    migration: &Migration,
    direction: Direction,
) -> (&Script, &crate::migrate::directive::Directives) {
    match (direction, &migration.down) {
        (Direction::Down, Some(down)) => (down, &migration.down_directives),
        _ => (&migration.up, &migration.directives),
    }
}

fn say_done(job: &Job<'_>, done: &Done, took: u64, word: &str, watch: Watch<'_>) {
    let plural = if done.statements == 1 { "" } else { "s" };
    let mut line = format!(
        "{word} {} ({} statement{plural}, {took} ms",
        job.step.label, done.statements
    );
    if done.lock_waits > 0 {
        line.push_str(&format!(
            ", after {} tries for its locks",
            done.lock_waits + 1
        ));
    }
    line.push(')');
    watch(Event::Said(&line));
}

fn applied_of(job: &Job<'_>, done: &Done, took_ms: u64) -> Applied {
    Applied {
        version: job.migration.version,
        name: job.migration.name.clone(),
        file: job.step.label.clone(),
        statements: done.statements,
        lock_waits: done.lock_waits,
        took_ms,
    }
}

/// Records why a run stopped, as far as that can still be done, and says it.
async fn halt(
    execution: &mut Execution<'_>,
    ledger: &Ledger,
    jobs: &[Job<'_>],
    at: usize,
    stopped: Stopped,
) -> Failure {
    let job = &jobs[at];
    let (state, done, trouble) = match stopped {
        Stopped::RolledBack(trouble) => (State::Failed, 0, trouble),
        Stopped::HalfWay(done, trouble) => (State::FailedHalfWay, done, trouble),
        Stopped::Unknown(trouble) => return lost(job, &trouble),
    };
    if !execution.session().is_closed() {
        let entry = Entry {
            version: Some(job.migration.version),
            name: Some(job.migration.name.clone()),
            statement: Some(done),
            up_sha256: Some(checksum::sha256(&job.migration.up.text)),
            error: Some(trouble.error.to_string()),
            ..Entry::default()
        };
        // What went wrong is what matters; that it could not be recorded as well adds nothing.
        let _ = execution
            .record(vec![journal::append(&ledger.run, state, &entry)])
            .await;
    }
    let half_way = state == State::FailedHalfWay;
    let exit = match trouble.exit {
        Exit::CannotDo | Exit::Busy if at > 0 || half_way => Exit::HalfWay,
        other => other,
    };
    let mut failure = with_exit(
        exit,
        message(job, (at, jobs.len()), (half_way, done), &trouble),
    );
    let again = (exit == Exit::Interrupted).then(|| "run it again".to_owned());
    failure.hint = trouble.hint.or(again).or_else(|| hint(job, half_way));
    failure
}

fn message(
    job: &Job<'_>,
    (at, total): (usize, usize),
    (half_way, done): (bool, usize),
    trouble: &Trouble,
) -> String {
    let label = &job.step.label;
    let mut message = match (at, half_way) {
        (0, false) => format!("{label} was rolled back, nothing was applied"),
        (0, true) => format!("stopped in {label}, {done} of its statements are done"),
        (_, false) => format!("{label} was rolled back, the first {at} of {total} are applied"),
        (_, true) => format!(
            "stopped in {label} after {done} of its statements, the first {at} of {total} are applied"
        ),
    };
    message.push_str(&format!(": {}", trouble.error));
    if let Some(offset) = trouble.offset {
        let place = position::of_byte(&job.step.text, offset);
        let statement = trouble
            .statement
            .map_or_else(String::new, |number| format!(", statement {number}"));
        let quoted = position::quote(&job.step.text, place);
        message.push_str(&format!(
            "\n  at {label}:{}:{}{statement}\n{quoted}",
            place.line, place.column
        ));
    }
    message
}

fn hint(job: &Job<'_>, half_way: bool) -> Option<String> {
    let command = "af-db up";
    Some(if half_way {
        format!(
            "mend the cause and run {command} again: it continues behind what is done; {} must not change above that",
            job.step.label
        )
    } else {
        format!("mend {} and run {command} again", job.step.label)
    })
}

fn lost(job: &Job<'_>, trouble: &Trouble) -> Failure {
    let label = &job.step.label;
    with_exit(
        Exit::HalfWay,
        format!(
            "the connection was lost while {label} was being committed: {}",
            trouble.error
        ),
    )
    .hint("run af-db status: it says whether it was")
}

/// Names what would fail before anything runs: statements that cannot run the way the file says.
pub fn judge(migration: &Migration, direction: Direction) -> Vec<Finding> {
    let (script, directives) = script(migration, direction);
    let outline = unit::outline(&script.text);
    let mut findings = Vec::new();
    let place = |index: usize| {
        let at = position::of_byte(&script.text, outline.statements[index].start);
        Place::at(&script.shown, at.line, at.column)
    };
    for index in &outline.meta_commands {
        let text = &script.text[outline.statements[*index].clone()];
        let (message, help) = meta_command(text);
        findings.push(
            Finding::error("migration-meta-command", &script.shown, message)
                .place(place(*index))
                .help(help),
        );
    }
    if directives.no_transaction {
        return findings;
    }
    for (index, reason) in &outline.alone {
        let message = format!("this cannot run in a transaction: {reason}");
        let finding =
            Finding::error("migration-transaction", &script.shown, message).place(place(*index));
        findings.push(finding.help(
            "begin the file with `-- af-db: no-transaction`, best with this statement alone in it",
        ));
    }
    for (index, control) in &outline.control {
        let word = match control {
            Control::Begin => "begins",
            Control::Commit | Control::Rollback => "ends",
        };
        let message =
            format!("the file {word} a transaction itself, inside the one that af-db makes of it");
        let finding =
            Finding::error("migration-transaction", &script.shown, message).place(place(*index));
        findings.push(finding.help(
            "remove it; or begin the file with `-- af-db: no-transaction` to run it as it is",
        ));
    }
    findings
}

/// Refuses to continue a half-run file that is no longer what was begun.
pub fn judge_continuing(migration: &Migration, unfinished: &[Unfinished]) -> Option<Finding> {
    let half = unfinished
        .iter()
        .find(|half| half.version == migration.version && half.statement > 0)?;
    if half.up_sha256.as_deref() == Some(checksum::sha256(&migration.up.text).as_str()) {
        return None;
    }
    let message = format!(
        "the file was changed after {} of its statements had run",
        half.statement
    );
    let finding = Finding::error("migration-changed-half-run", &migration.up.shown, message);
    let help = format!(
        "restore the file and run af-db up; or undo by hand what it did and forget the half run: af-db repair --resume {} --as undone",
        migration.version
    );
    Some(finding.place(Place::file(&migration.up.shown)).help(help))
}

fn meta_command(text: &str) -> (String, String) {
    let word = text.split_whitespace().next().unwrap_or("\\");
    let help = match word {
        "\\i" | "\\ir" | "\\include" | "\\include_relative" => {
            "put the text of that file here, or make it a migration of its own"
        }
        "\\c" | "\\connect" => {
            "one migration works in one database: give each database its own folder and environment"
        }
        "\\copy" => {
            "write COPY … FROM STDIN with the rows below it and a line `\\.`, as pg_dump does"
        }
        "\\set" | "\\gset" | "\\if" | "\\else" | "\\elif" | "\\endif" => {
            "write the value itself, or decide in a DO block"
        }
        "\\restrict" | "\\unrestrict" => "remove it: it protects psql, which does not run here",
        _ => "remove it, or write it as SQL",
    };
    (
        format!("`{word}` is a command of psql, which does not run here"),
        help.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> String {
        let mut findings = Vec::new();
        let up = Script {
            shown: "V1__x.sql".to_owned(),
            path: std::path::PathBuf::new(),
            text: text.into(),
        };
        let directives = crate::migrate::directive::read("V1__x.sql", text, &mut findings);
        let migration = Migration {
            version: 1,
            name: "x".to_owned(),
            prefix: 'V',
            up,
            down: None,
            directives,
            down_directives: Default::default(),
        };
        let said = judge(&migration, Direction::Up).into_iter().map(|finding| {
            let place = finding
                .place
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!(
                "{place} {}: {}\n  {}",
                finding.code,
                finding.message,
                finding.help.unwrap_or_default()
            )
        });
        said.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_cannot_run_is_named_before() {
        insta::assert_snapshot!(judged("SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (a);\nVACUUM;"), @"
        V1__x.sql:2:1 migration-transaction: this cannot run in a transaction: CREATE INDEX CONCURRENTLY commits in between
          begin the file with `-- af-db: no-transaction`, best with this statement alone in it
        V1__x.sql:3:1 migration-transaction: this cannot run in a transaction: VACUUM makes transactions of its own
          begin the file with `-- af-db: no-transaction`, best with this statement alone in it
        ");
        insta::assert_snapshot!(judged("BEGIN;\nSELECT 1;\nCOMMIT;"), @"
        V1__x.sql:1:1 migration-transaction: the file begins a transaction itself, inside the one that af-db makes of it
          remove it; or begin the file with `-- af-db: no-transaction` to run it as it is
        V1__x.sql:3:1 migration-transaction: the file ends a transaction itself, inside the one that af-db makes of it
          remove it; or begin the file with `-- af-db: no-transaction` to run it as it is
        ");
        insta::assert_snapshot!(judged("\\i other.sql\n\\copy t from 'x'\n\\restrict abc\n"), @r"
        V1__x.sql:1:1 migration-meta-command: `\i` is a command of psql, which does not run here
          put the text of that file here, or make it a migration of its own
        V1__x.sql:2:1 migration-meta-command: `\copy` is a command of psql, which does not run here
          write COPY … FROM STDIN with the rows below it and a line `\.`, as pg_dump does
        V1__x.sql:3:1 migration-meta-command: `\restrict` is a command of psql, which does not run here
          remove it: it protects psql, which does not run here
        ");
    }

    #[test]
    fn what_says_how_it_runs_is_not() {
        assert_eq!(
            judged("-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);"),
            ""
        );
        assert_eq!(
            judged("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END"),
            ""
        );
        assert_eq!(judged("COPY t FROM stdin;\n\\i\n\\.\n"), "");
    }
}
