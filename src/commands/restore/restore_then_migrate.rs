//! Chooses the archive of a restore that is to end at a certain migration: which archive it begins with, and the migrations on top.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::backup::archive::Archive;
use crate::backup::store::Store;
use crate::commands::archives::{self, ChosenArchive};
use crate::commands::change::run::{Budgets, GuardedRun, Migrations};
use crate::commands::change::select::{self, Selection};
use crate::commands::{Context, project};
use crate::error::{fail, refuse};
use crate::migrate::status;
use crate::pg::connect;
use crate::pg::lock::LockedSession;
use crate::pg::target::Target;

/// Flags that say where in the history to end.
#[derive(clap::Args, Debug)]
pub(super) struct ThenMigrateArgs {
    /// Take the newest archive whose last migration is this one; with --migrate also one from before it
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["before_run", "before_lsn"])]
    pub(super) to_history: Option<i64>,
    /// Apply the migrations that the archive lacks, up to --to-history or all of them, once it is restored and proven
    #[arg(long, conflicts_with_all = ["swap", "drill"])]
    pub(super) migrate: bool,
}

/// Gives the newest archive of the database in use that ends at the version, or with `onward` before it.
pub(super) async fn archive(
    context: &Context,
    store: Store,
    args: &ThenMigrateArgs,
    to: i64,
) -> Result<ChosenArchive> {
    let mut fitting: Vec<(i64, Option<DateTime<Utc>>, String)> = Vec::new();
    let mut seen = Vec::new();
    for archive in archives::of_this_database(context, &store).await?.whole {
        let Some(version) = version(&archive) else {
            continue;
        };
        seen.push(version);
        if version == to || (args.migrate && version < to) {
            fitting.push((version, archive.begun(), archive.name));
        }
    }
    fitting.sort();
    if let Some((_, _, name)) = fitting.pop() {
        return Ok(ChosenArchive {
            store,
            name,
            is_named: false,
        });
    }
    seen.sort_unstable();
    seen.dedup();
    let hint = match (seen.as_slice(), seen.iter().any(|one| *one < to)) {
        ([], _) => "`af-db backup list` shows what is there".to_owned(),
        (_, true) => "--migrate takes one from before it and applies what is missing".to_owned(),
        (_, false) => format!("the oldest of them ends at migration {}", seen[0]),
    };
    Err(fail(format!(
        "no archive in {} ends at migration {to}, nothing was restored",
        store.shown()
    ))
    .hint(hint)
    .into())
}

fn version(archive: &Archive) -> Option<i64> {
    archive.history.as_ref()?.parse().ok()
}

/// Applies on a restored database what its archive lacked; gives how many that were.
pub(super) async fn migrate(context: &Context, target: &Target, to: Option<i64>) -> Result<usize> {
    let folder = project::folder(context)?;
    let watch = context.watch();
    let session = connect::open(target, &watch).await?;
    let session = LockedSession::take(session, std::time::Duration::ZERO, &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    let fresh = project::fresh_width(context, &folder)?;
    let standing = status::compare(&folder, &records.history, &records.unfinished, fresh);
    let selection = Selection {
        to,
        ..Selection::default()
    };
    let (chosen, _) = select::choose(&selection, &folder.migrations, &standing)?;
    select::obstacles(&selection, &standing, &chosen, &records.unfinished)?;
    let ledger = project::record_settings(context, &records.history, &folder)?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    let run = GuardedRun::new(context, target, &Budgets::default(), &watch)?;
    let migrations = Migrations {
        chosen: &chosen,
        ledger: &ledger,
        unfinished: &records.unfinished,
    };
    let (session, outcome) = run.up(session, migrations).await?;
    session.close().await;
    match outcome.stopped {
        None => Ok(outcome.applied.len()),
        Some(failure) => Err(anyhow::Error::from(failure)).with_context(|| {
            format!(
                "`{}` is restored; applying the migrations on top of it",
                target.database()
            )
        }),
    }
}

/// Refuses `--migrate` where the restored database has no name to go on with.
pub(super) fn check(args: &ThenMigrateArgs, archive: &Archive) -> Result<()> {
    if args.migrate && !archive.scope.is_whole() {
        return Err(refuse(format!(
            "the archive `{}` holds a part of a database, no migration can go on top; nothing was restored",
            archive.name
        ))
        .hint("leave out --migrate")
        .into());
    }
    Ok(())
}
