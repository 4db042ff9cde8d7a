//! Restores to a migration: chooses the archive to start from and applies the migrations it lacks.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};

use crate::backup::archive::Archive;
use crate::backup::store::Store;
use crate::commands::archives::{self, ChosenArchive};
use crate::commands::change::run::{Budgets, GuardedRun, Migrations};
use crate::commands::change::select::{self, Selection};
use crate::commands::{Context, project};
use crate::error::{fail, refuse};
use crate::pg::connect;
use crate::pg::lock::LockedSession;
use crate::pg::target::Target;

/// Flags that choose the migration to end at.
#[derive(clap::Args, Debug)]
pub(super) struct ThenMigrateArgs {
    /// Restore the newest backup that ends at this migration; with --migrate, also an earlier one
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["before_run", "before_lsn"])]
    pub(super) to_history: Option<i64>,
    /// After the restore, apply the missing migrations, up to --to-history if given
    #[arg(long, conflicts_with_all = ["swap", "drill"])]
    pub(super) migrate: bool,
}

/// Returns the newest archive of the database in use that ends at the version, or with `--migrate` before it.
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
        ([], _) => "list backups with `af-db backup list`".to_owned(),
        (_, true) => {
            "use --migrate to restore an earlier backup and apply the missing migrations".to_owned()
        }
        (_, false) => format!("the oldest backup ends at migration {}", seen[0]),
    };
    Err(fail(format!(
        "no backup in {} ends at migration {to}; nothing was restored",
        store.shown()
    ))
    .hint(hint)
    .into())
}

fn version(archive: &Archive) -> Option<i64> {
    archive.history.as_ref()?.parse().ok()
}

/// Applies the migrations that the archive lacked and returns how many.
pub(super) async fn migrate(context: &Context, target: &Target, to: Option<i64>) -> Result<usize> {
    let folder = project::folder(context)?;
    let watch = context.watch();
    let session = connect::open(target, &watch).await?;
    let session = LockedSession::take(session, std::time::Duration::ZERO, &watch).await?;
    let records = project::history_and_journal(context, &session).await?;
    let standing = project::migration_status(context, &folder, &records)?;
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
                "database `{}` is restored; applying the remaining migrations",
                target.database()
            )
        }),
    }
}

/// Refuses `--migrate` for a partial backup.
pub(super) fn check(args: &ThenMigrateArgs, archive: &Archive) -> Result<()> {
    if args.migrate && !archive.scope.is_whole() {
        return Err(refuse(format!(
            "backup `{}` is partial, so migrations cannot be applied to it; nothing was restored",
            archive.name
        ))
        .hint("omit --migrate")
        .into());
    }
    Ok(())
}
