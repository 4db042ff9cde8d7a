//! `af-db repair`: explicit corrections of the history and the journal, each recorded in the journal.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::Page;
use crate::commands::{Context, Outcome, Purpose, Report, change::gate, project, protection};
use crate::error::{fail, refuse};
use crate::migrate::files::{Migration, MigrationFolder};
use crate::migrate::job::{self, RecordSettings};
use crate::migrate::journal::{self, JournalEntry, JournalState, Unfinished};
use crate::migrate::{checksum, history, new_migration};
use crate::pg::lock::LockedSession;
use crate::sql::safe::Sql;

/// Flags of `repair`.
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// Update the recorded checksum to match the file
    #[arg(long, value_name = "VERSION", num_args = 1.., group = "what")]
    checksum: Vec<i64>,
    /// Record a migration as applied without running it
    #[arg(long, value_name = "VERSION", num_args = 1.., group = "what")]
    mark_applied: Vec<i64>,
    /// Remove a migration from the history without reverting it
    #[arg(long, value_name = "VERSION", num_args = 1.., group = "what")]
    mark_unapplied: Vec<i64>,
    /// Record the outcome of the statement that was interrupted (use with --as)
    #[arg(long, value_name = "VERSION", group = "what", requires = "ended")]
    resume: Option<i64>,
    /// Outcome of the interrupted statement
    #[arg(long = "as", id = "ended", value_name = "HOW", requires = "resume")]
    ended: Option<StatementOutcome>,
    /// Give an unapplied migration and its down migration the next free number
    #[arg(long, value_name = "FILE", group = "what")]
    renumber: Option<String>,
    /// Remove the protection mark from this database, such as a copy of a protected environment
    #[arg(long, group = "what")]
    unprotect: bool,
}

/// How an interrupted statement ended.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum StatementOutcome {
    /// It took effect: continue after it
    Done,
    /// It did not take effect: run it again
    NotDone,
    /// The whole migration was undone by hand: start over
    Undone,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RepairReport {
    repaired: Vec<String>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if args.unprotect {
        return unprotect(context).await;
    }
    let folder = project::folder(context)?;
    if let Some(file) = &args.renumber {
        return renumber(context, &folder, file).await;
    }
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let wait = std::time::Duration::from_secs(30);
    let session = LockedSession::take(session, wait, &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    let ledger = project::record_settings(context, &records.history, &folder)?;
    let corrections = corrections(args, &folder, &ledger, &records)?;
    let words: Vec<String> = corrections
        .iter()
        .map(|correction| correction.words.clone())
        .collect();
    gate::backed_up(context, &session)?;
    gate::confirm(
        context,
        &session,
        &target,
        &format!("the history will be corrected: {}\n", words.join("; ")),
    )
    .await?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    let mut sql = Sql::new("BEGIN");
    for correction in &corrections {
        let entry = JournalEntry {
            note: Some(correction.words.clone()),
            ..correction.entry.clone()
        };
        let record = journal::append(&ledger.run, correction.state, &entry);
        sql.push(";\n")
            .piece(&correction.change)
            .push(";\n")
            .piece(&record);
    }
    sql.push(";\nCOMMIT");
    if let Err(error) = session.run(&sql).await {
        session.roll_back().await;
        return Err(error.context("correcting the history; nothing was changed"));
    }
    session.close().await;
    context.show(&RepairReport { repaired: words })
}

/// One correction: the change, its journal row, and both in words.
struct Correction {
    change: Sql,
    state: JournalState,
    entry: JournalEntry,
    words: String,
}

fn corrections(
    args: &Args,
    folder: &MigrationFolder,
    ledger: &RecordSettings,
    records: &project::HistoryAndJournal,
) -> Result<Vec<Correction>> {
    let mut corrections = Vec::new();
    for version in &args.checksum {
        let migration = file(folder, *version)?;
        need_row(records, *version, true)?;
        let sum = checksum::refinery(&migration.name, *version, &migration.up.text, ledger.width);
        corrections.push(Correction {
            change: history::set_row(&ledger.history, &job::row(migration, ledger.width), sum),
            state: JournalState::Repaired,
            entry: entry(migration),
            words: format!("checksum of migration {version} updated to match the file"),
        });
    }
    for version in &args.mark_applied {
        let migration = file(folder, *version)?;
        need_row(records, *version, false)?;
        corrections.push(Correction {
            change: history::insert(&ledger.history, &job::row(migration, ledger.width)),
            state: JournalState::Baselined,
            entry: entry(migration),
            words: format!("migration {version} recorded as applied without running it"),
        });
    }
    for version in &args.mark_unapplied {
        need_row(records, *version, true)?;
        corrections.push(Correction {
            change: history::delete(&ledger.history, *version),
            state: JournalState::Repaired,
            entry: JournalEntry {
                version: Some(*version),
                ..JournalEntry::default()
            },
            words: format!("migration {version} removed from the history without reverting it"),
        });
    }
    if let (Some(version), Some(ended)) = (args.resume, args.ended) {
        corrections.push(resume(version, ended, folder, &records.unfinished)?);
    }
    Ok(corrections)
}

fn resume(
    version: i64,
    ended: StatementOutcome,
    folder: &MigrationFolder,
    unfinished: &[Unfinished],
) -> Result<Correction> {
    let Some(half) = unfinished.iter().find(|half| half.version == version) else {
        return Err(
            fail(format!("migration {version} is not partially applied"))
                .hint("see af-db status")
                .into(),
        );
    };
    let migration = file(folder, version)?;
    let begun = half.statement;
    let before = begun - usize::from(half.is_uncertain() && begun > 0);
    let (state, statement, words) = match ended {
        StatementOutcome::Done => (
            JournalState::unit_done(half.direction),
            begun,
            format!("statement {begun} of migration {version} recorded as done"),
        ),
        StatementOutcome::NotDone => (
            JournalState::unit_done(half.direction),
            before,
            format!("statement {begun} of migration {version} recorded as not done"),
        ),
        StatementOutcome::Undone => (
            JournalState::Repaired,
            0,
            format!("migration {version} recorded as undone"),
        ),
    };
    let entry = JournalEntry {
        statement: Some(statement),
        ..entry(migration)
    };
    Ok(Correction {
        change: Sql::new("SELECT"),
        state,
        entry,
        words,
    })
}

fn entry(migration: &Migration) -> JournalEntry {
    JournalEntry {
        version: Some(migration.version),
        name: Some(migration.name.clone()),
        up_sha256: Some(checksum::sha256(&migration.up.text)),
        down_sha256: migration
            .down
            .as_ref()
            .map(|down| checksum::sha256(&down.text)),
        ..JournalEntry::default()
    }
}

fn file(folder: &MigrationFolder, version: i64) -> Result<&Migration> {
    let found = folder
        .migrations
        .iter()
        .find(|migration| migration.version == version);
    found.ok_or_else(|| {
        fail(format!("migration {version} has no file"))
            .hint("see af-db status")
            .into()
    })
}

fn need_row(records: &project::HistoryAndJournal, version: i64, wanted: bool) -> Result<()> {
    if records.history.row(version).is_some() == wanted {
        return Ok(());
    }
    let is = if wanted { "is not" } else { "is already" };
    Err(refuse(format!(
        "migration {version} {is} in the history; nothing was changed"
    ))
    .hint("see af-db status")
    .into())
}

/// Removes the protection of a database; needs a typed confirmation, whatever its environment requires.
async fn unprotect(context: &Context) -> Result<Outcome> {
    let (session, target) = context.open(Purpose::Writing).await?;
    let database = &context.config.database;
    let environment = database.environment();
    if !database.is_protected() {
        return context.show(&RepairReport {
            repaired: vec![format!("{target} is not protected")],
        });
    }
    if !database.is_recognised() {
        return Err(refuse(format!(
            "environment `{environment}` is protected in af-db.yaml. Nothing was changed."
        ))
        .hint(format!(
            "Remove `protected: true` from environment `{environment}` in af-db.yaml, then run this again"
        ))
        .into());
    }
    let watch = context.watch();
    let wait = std::time::Duration::from_secs(30);
    let session = LockedSession::take(session, wait, &watch).await?;
    let words = format!("unprotect {environment}/{}", target.database());
    let question = format!(
        "{target} will no longer be protected as environment `{environment}`: anyone who can connect can change it with --yes"
    );
    let otherwise = "a protection is only removed interactively";
    context
        .terminal
        .confirm_typed(&question, &words, otherwise)?;
    let records = project::history_and_journal(context, &session).await?;
    project::create_journal(&session, records.history.has_journal).await?;
    let done = format!("protection as environment {environment} removed");
    let entry = JournalEntry {
        note: Some(done.clone()),
        ..JournalEntry::default()
    };
    let record = journal::append(&project::run(context), JournalState::Repaired, &entry);
    session
        .run(&Sql::fill("BEGIN;\n{};\nCOMMIT", &[&record]))
        .await?;
    protection::lift(context, &session).await?;
    session.close().await;
    context.show(&RepairReport {
        repaired: vec![done],
    })
}

async fn renumber(context: &Context, folder: &MigrationFolder, file: &str) -> Result<Outcome> {
    let wanted = std::path::Path::new(file)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let wanted = wanted.unwrap_or_default();
    let Some(migration) = find_file(context, folder, &wanted)? else {
        return Err(fail(format!("there is no migration file `{file}`"))
            .hint("see af-db status")
            .into());
    };
    let (session, _) = context.open(Purpose::Reading).await?;
    let records = project::history_and_journal(context, &session).await?;
    if records
        .history
        .row(migration.version)
        .is_some_and(|row| row.name == migration.name)
    {
        return Err(refuse(format!(
            "{file} is applied to this database. Its number cannot change."
        ))
        .hint("Renumber the migration that is not applied anywhere")
        .into());
    }
    let highest = records.history.rows.last().map_or(0, |row| row.version);
    let next =
        new_migration::next_version(&folder.migrations, project::timestamp()).max(highest + 1);
    let pair = new_migration::renumber(&migration, next)?;
    context.show(&RepairReport {
        repaired: vec![format!("{file} is now {}", context.config.shown(&pair.up))],
    })
}

/// Finds a migration by its file, including one that the listing left out because its number is taken.
fn find_file(
    context: &Context,
    folder: &MigrationFolder,
    wanted: &str,
) -> Result<Option<Migration>> {
    if let Some(found) = folder
        .migrations
        .iter()
        .find(|migration| migration.file_name() == wanted)
    {
        return Ok(Some(found.clone()));
    }
    let path = context.config.migrations().join(wanted);
    if !path.is_file() {
        return Ok(None);
    }
    crate::migrate::files::one(&path, &context.config.shown(&path))
}

impl Report for RepairReport {
    fn command(&self) -> &'static str {
        "repair"
    }

    fn human(&self, page: &mut Page) {
        for words in &self.repaired {
            page.line(words);
        }
    }
}
