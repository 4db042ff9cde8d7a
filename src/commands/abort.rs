//! `af-db up --abort`: undoes partially applied migrations, last statement first.

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
    /// How many of its statements are still applied.
    left: usize,
}

/// A migration that an earlier run did not finish.
struct PartialMigration<'a> {
    migration: &'a Migration,
    step: Step,
    /// Whether the statement after the applied ones may have run.
    begun: bool,
    /// Whether the journal records it as partially applied.
    recorded: bool,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, wait: &str) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let wait = project::duration("--wait", wait)?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let session = LockedSession::take(session, wait, &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    let failed = failed(&session, &records).await?;
    let partials = partials(&folder, &records, &failed)?;
    let mut report = AbortReport {
        database: target.to_string(),
        undone: Vec::new(),
        findings: Vec::new(),
    };
    if partials.is_empty() {
        return context.show(&report);
    }
    let labels: Vec<&str> = partials
        .iter()
        .map(|partial| &*partial.step.label)
        .collect();
    let what = format!("undo {} ", labels.join(", "));
    gate::backed_up(context, &session)?;
    gate::confirm(context, &session, &target, &what).await?;
    let ledger = project::record_settings(context, &records.history, &folder)?;
    for partial in partials {
        let job = job::job(&ledger, partial.migration, Direction::Up, None, None);
        let records = job.expect("every migration has a way up").recorder;
        let undone = undo::undo(
            &session,
            &partial.step,
            partial.begun,
            records.as_ref(),
            &watch,
        )
        .await?;
        if partial.recorded {
            record(&session, &ledger, &partial, &undone).await?;
        }
        if partial.recorded || !undone.did.is_empty() {
            report.undone.push(Aborted {
                version: partial.migration.version,
                file: partial.step.label.clone(),
                did: undone.did,
                left: undone.left,
            });
        }
        if let Some(stuck) = undone.stuck.filter(|_| partial.recorded) {
            report.findings.push(left_over(&partial, &stuck));
        }
    }
    session.close().await;
    context.show(&report)
}

/// The migrations whose newest journal row is a failure that left nothing applied.
async fn failed(session: &Session, records: &project::HistoryAndJournal) -> Result<Vec<i64>> {
    if !records.history.has_journal {
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

/// Finds the partially applied migrations, newest first, and those that failed in their first statement, which may
/// have left an invalid index.
fn partials<'f>(
    folder: &'f MigrationFolder,
    records: &project::HistoryAndJournal,
    failed: &[i64],
) -> Result<Vec<PartialMigration<'f>>> {
    let mut partials = Vec::new();
    for unfinished in records.unfinished.iter().rev() {
        partials.push(partial(folder, unfinished)?);
    }
    let is_failed = |file: &&Migration| failed.contains(&file.version);
    for migration in folder.migrations.iter().rev().filter(is_failed) {
        let step = job::step(migration, Direction::Up);
        let Some(step) = step.filter(|step| step.mode == Mode::Statements) else {
            continue;
        };
        partials.push(PartialMigration {
            migration,
            step,
            begun: true,
            recorded: false,
        });
    }
    Ok(partials)
}

fn partial<'f>(
    folder: &'f MigrationFolder,
    unfinished: &Unfinished,
) -> Result<PartialMigration<'f>> {
    let version = unfinished.version;
    if unfinished.direction == Direction::Down {
        return Err(refuse(format!(
            "migration {version} is partially reverted. Nothing was undone."
        ))
        .hint("Continue reverting it: af-db down")
        .into());
    }
    let found = folder
        .migrations
        .iter()
        .find(|migration| migration.version == version);
    let migration = found.ok_or_else(|| -> Failure {
        fail(format!(
            "migration {version} is partially applied and its file is missing. Nothing was undone."
        ))
        .hint("Restore the file from version control: the statements to undo are read from it")
    })?;
    let same = unfinished.sha256.as_ref() == Some(&checksum::sha256(&migration.up.text));
    let step = job::step(migration, Direction::Up).filter(|_| same);
    let Some(mut step) = step else {
        return Err(refuse(format!(
            "{} was modified after it was partially applied. Nothing was undone.",
            migration.up.shown
        ))
        .hint("Restore the file from version control: the statements to undo are read from it")
        .into());
    };
    step.uncertain = unfinished.is_uncertain();
    step.done = unfinished.statement - usize::from(step.uncertain && unfinished.statement > 0);
    let failed = JournalState::failed_half_way(Direction::Up).word();
    Ok(PartialMigration {
        migration,
        begun: step.uncertain || unfinished.state == failed,
        step,
        recorded: true,
    })
}

/// Records in the journal how much of it is still applied.
async fn record(
    session: &Session,
    ledger: &RecordSettings,
    partial: &PartialMigration<'_>,
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
        [] => "nothing to undo".to_owned(),
        did => did.join(", "),
    };
    let entry = JournalEntry {
        version: Some(partial.migration.version),
        name: Some(partial.migration.name.clone()),
        statement: Some(undone.left),
        up_sha256: Some(checksum::sha256(&partial.migration.up.text)),
        note: Some(format!("aborted: {done}")),
        ..JournalEntry::default()
    };
    let row = journal::append(&ledger.run, state, &entry);
    let sql = Sql::fill("BEGIN;\n{};\nCOMMIT", &[&row]);
    session.run(&sql).await
}

/// Names the statement that only a person can undo.
fn left_over(partial: &PartialMigration<'_>, stuck: &NotUndoable) -> Finding {
    let place = position::of_byte(&partial.step.text, stuck.range.start);
    let first = partial.step.text[stuck.range.clone()].lines().next();
    let message = format!(
        "line {}, `{}`: {}",
        place.line,
        first.unwrap_or_default(),
        stuck.why
    );
    let version = partial.migration.version;
    Finding::error("half-run-left", &partial.step.label, message).help(format!(
        "Continue with af-db up, or undo it by hand and record that: af-db repair --resume {version} --as undone"
    ))
}

impl Report for AbortReport {
    fn command(&self) -> &'static str {
        "up"
    }

    fn human(&self, page: &mut Page) {
        if self.undone.is_empty() {
            page.line(format!(
                "nothing to undo, no migration is partially applied in {}",
                self.database
            ));
        }
        for undone in &self.undone {
            for did in &undone.did {
                page.line(did);
            }
            page.line(match undone.left {
                0 => format!("{} is fully undone and pending again", undone.file),
                left => format!(
                    "{} is still partially applied: statements 1 to {left}",
                    undone.file
                ),
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
