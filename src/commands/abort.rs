//! `af-db up --abort`: takes back what migrations left behind that a run was stopped in.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::Page;
use crate::commands::{Context, Outcome, Purpose, Report, change::gate, project};
use crate::error::{Failure, fail, refuse};
use crate::finding::Finding;
use crate::migrate::checksum;
use crate::migrate::files::{Direction, Migration, MigrationFolder};
use crate::migrate::job::{self, RecordSettings};
use crate::migrate::journal::{self, JournalEntry, JournalState, Unfinished};
use crate::pg::lock::LockedSession;
use crate::pg::session::Session;
use crate::plan::undo::{self, NotUndoable, UndoReport};
use crate::plan::{Mode, Step};
use crate::sql::position;
use crate::sql::safe::Sql;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct AbortReport {
    database: String,
    undone: Vec<Aborted>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aborted {
    version: i64,
    file: String,
    did: Vec<String>,
    /// How many of its statements are done still.
    left: usize,
}

/// A migration that an earlier run was stopped in.
struct Half<'a> {
    migration: &'a Migration,
    step: Step,
    /// Whether the statement behind those that are done may have been begun.
    begun: bool,
    /// Whether the journal says that it is half-run.
    recorded: bool,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, wait: &str) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let wait = project::duration("--wait", wait)?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let session = LockedSession::take(session, wait, &watch).await?;
    let books = project::history_and_journal(context, &session).await?;
    let failed = failed(&session, &books).await?;
    let halves = halves(&folder, &books, &failed)?;
    let mut report = AbortReport {
        database: target.to_string(),
        undone: Vec::new(),
        findings: Vec::new(),
    };
    if halves.is_empty() {
        return context.show(&report);
    }
    let labels: Vec<&str> = halves.iter().map(|half| &*half.step.label).collect();
    let what = format!("undo what is left of {} ", labels.join(", "));
    gate::backed_up(context, &session)?;
    gate::confirm(context, &session, &target, &what).await?;
    let ledger = project::ledger(context, &books.history, &folder)?;
    for half in halves {
        let job = job::job(&ledger, half.migration, Direction::Up, None, None);
        let books = job.expect("every migration has a way up").recorder;
        let undone = undo::undo(&session, &half.step, half.begun, books.as_ref(), &watch).await?;
        if half.recorded {
            record(&session, &ledger, &half, &undone).await?;
        }
        if half.recorded || !undone.did.is_empty() {
            report.undone.push(Aborted {
                version: half.migration.version,
                file: half.step.label.clone(),
                did: undone.did,
                left: undone.left,
            });
        }
        if let Some(stuck) = undone.stuck.filter(|_| half.recorded) {
            report.findings.push(left_over(&half, &stuck));
        }
    }
    session.close().await;
    context.show(&report)
}

/// Gives the migrations that failed last of all, of which nothing is done.
async fn failed(session: &Session, books: &project::HistoryAndJournal) -> Result<Vec<i64>> {
    if !books.history.has_journal {
        return Ok(Vec::new());
    }
    let mut newest = BTreeMap::new();
    for line in journal::read(session, 1000).await? {
        if let Some(version) = line.version {
            newest.insert(version, line.state);
        }
    }
    newest.retain(|_, state| *state == JournalState::Failed.word());
    Ok(newest.into_keys().collect())
}

/// Finds what was left half-run, newest first; and what failed in its first statement, which left an index at most.
fn halves<'f>(
    folder: &'f MigrationFolder,
    books: &project::HistoryAndJournal,
    failed: &[i64],
) -> Result<Vec<Half<'f>>> {
    let mut halves = Vec::new();
    for unfinished in books.unfinished.iter().rev() {
        halves.push(half(folder, unfinished)?);
    }
    let is_failed = |file: &&Migration| failed.contains(&file.version);
    for migration in folder.migrations.iter().rev().filter(is_failed) {
        let step = job::step(migration, Direction::Up);
        let Some(step) = step.filter(|step| step.mode == Mode::Statements) else {
            continue;
        };
        halves.push(Half {
            migration,
            step,
            begun: true,
            recorded: false,
        });
    }
    Ok(halves)
}

fn half<'f>(folder: &'f MigrationFolder, unfinished: &Unfinished) -> Result<Half<'f>> {
    let version = unfinished.version;
    if unfinished.direction == Direction::Down {
        return Err(refuse(format!(
            "reverting migration {version} was stopped half-way; nothing was undone"
        ))
        .hint("go on with it: af-db down")
        .into());
    }
    let found = folder
        .migrations
        .iter()
        .find(|migration| migration.version == version);
    let migration = found.ok_or_else(|| -> Failure {
        fail(format!(
            "migration {version} is half-run and its file is gone; nothing was undone"
        ))
        .hint("restore the file from version control: what it did is read from it")
    })?;
    let same = unfinished.sha256.as_ref() == Some(&checksum::sha256(&migration.up.text));
    let step = job::step(migration, Direction::Up).filter(|_| same);
    let Some(mut step) = step else {
        return Err(refuse(format!(
            "{} was changed after a run was stopped in it; nothing was undone",
            migration.up.shown
        ))
        .hint("restore the file from version control: what it did is read from it")
        .into());
    };
    step.uncertain = unfinished.is_uncertain();
    step.done = unfinished.statement - usize::from(step.uncertain && unfinished.statement > 0);
    let failed = JournalState::failed_half_way(Direction::Up).word();
    Ok(Half {
        migration,
        begun: step.uncertain || unfinished.state == failed,
        step,
        recorded: true,
    })
}

/// Puts into the journal how much of it is done still.
async fn record(
    session: &Session,
    ledger: &RecordSettings,
    half: &Half<'_>,
    undone: &UndoReport,
) -> Result<()> {
    if undone.stuck.as_ref().is_some_and(|stuck| stuck.uncertain) {
        return Ok(());
    }
    let state = match undone.left {
        0 => JournalState::Repaired,
        _ => JournalState::unit_done(Direction::Up),
    };
    let done = match undone.did.as_slice() {
        [] => "nothing was to be done".to_owned(),
        did => did.join(", "),
    };
    let entry = JournalEntry {
        version: Some(half.migration.version),
        name: Some(half.migration.name.clone()),
        statement: Some(undone.left),
        up_sha256: Some(checksum::sha256(&half.migration.up.text)),
        note: Some(format!("aborted: {done}")),
        ..JournalEntry::default()
    };
    let row = journal::append(&ledger.run, state, &entry);
    let sql = Sql::fill("BEGIN;\n{};\nCOMMIT", &[&row]);
    session.run(&sql).await
}

/// Says what only a person can undo.
fn left_over(half: &Half<'_>, stuck: &NotUndoable) -> Finding {
    let place = position::of_byte(&half.step.text, stuck.range.start);
    let first = half.step.text[stuck.range.clone()].lines().next();
    let message = format!(
        "line {}, `{}`: {}",
        place.line,
        first.unwrap_or_default(),
        stuck.why
    );
    let version = half.migration.version;
    Finding::error("half-run-left", &half.step.label, message).help(format!(
        "go on with af-db up; or undo it by hand, and say so: af-db repair --resume {version} --as undone"
    ))
}

impl Report for AbortReport {
    fn command(&self) -> &'static str {
        "up"
    }

    fn human(&self, page: &mut Page) {
        if self.undone.is_empty() {
            page.line(format!(
                "nothing to undo, no migration is half-run in {}",
                self.database
            ));
        }
        for undone in &self.undone {
            for did in &undone.did {
                page.line(did);
            }
            page.line(match undone.left {
                0 => format!("nothing of {} is left, it is pending", undone.file),
                left => format!("{} is half-run still, behind statement {left}", undone.file),
            });
        }
    }

    fn outcome(&self) -> Outcome {
        match self.findings.is_empty() {
            true => Outcome::Clean,
            false => Outcome::HalfWay,
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
