//! `af-db restore --engine pgbackrest`: a cluster as it was just before a run of migrations.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::backup::pgbackrest::restore::{self, RestorePoint, RestoredCluster};
use crate::backup::properties;
use crate::commands::archives::{EngineArgs, first_given, seconds};
use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Purpose, Report};
use crate::error::{fail, refuse};

/// Recovery target and directory.
#[derive(clap::Args, Debug)]
pub(super) struct PointInTimeArgs {
    /// pgBackRest: recover to just before this run (id prefix, see `af-db history`)
    #[arg(long, value_name = "RUN", conflicts_with = "before_lsn")]
    before_run: Option<String>,
    /// pgBackRest: recover to just before this LSN, such as 0/AD650C0
    #[arg(long, value_name = "LSN")]
    before_lsn: Option<String>,
    /// pgBackRest: directory for the restored cluster (empty or new)
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl PointInTimeArgs {
    /// Refuses recovery targets for a dump, which contains a single point in time.
    pub(super) fn refuse_without_engine(&self) -> Result<()> {
        let given = [
            ("--before-run", self.before_run.is_some()),
            ("--before-lsn", self.before_lsn.is_some()),
            ("--data-dir", self.data_dir.is_some()),
        ];
        match first_given(&given) {
            None => Ok(()),
            Some(flag) => Err(fail(format!(
                "{flag} requires --engine pgbackrest; nothing was restored"
            ))
            .hint("add --engine pgbackrest, or restore the backup that ends at a migration with --to-history VERSION")
            .into()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PointReport {
    engine: &'static str,
    drill: bool,
    before: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    #[serde(flatten)]
    reached: RestoredCluster,
}

/// The recovery target, with what the journal of the live database adds.
struct Target {
    lsn: String,
    run: Option<String>,
    system_identifier: Option<String>,
}

pub(super) async fn run(
    engine: &EngineArgs,
    args: &PointInTimeArgs,
    drill: bool,
    context: &Context,
) -> Result<Outcome> {
    let stanza = engine.stanza()?;
    let recovery = target(args, context).await?;
    let scratch = tempfile::Builder::new().prefix("af-db-drill-").tempdir()?;
    let data = match (&args.data_dir, drill) {
        (Some(data), _) => std::path::absolute(data)?,
        (None, true) => {
            crate::pg::embedded::privileges::give(scratch.path(), stanza.user.as_ref())?;
            scratch.path().join("data")
        }
        (None, false) => {
            return Err(fail("no directory given for the restored cluster")
                .hint("give a new directory with --data-dir, or test with --drill")
                .into());
        }
    };
    let writing = context.config.database.writing();
    let (database, user) = writing.map_or(("postgres", "postgres"), |target| {
        let user = target.user.as_deref().unwrap_or("postgres");
        (target.database(), user)
    });
    let point = RestorePoint {
        lsn: &recovery.lsn,
        run: recovery.run.as_deref(),
        data: &data,
        database,
        user,
        system_identifier: recovery.system_identifier.as_deref(),
    };
    let embedded = context.config.embedded(None)?;
    let watch = context.watch();
    let reached = restore::run(&stanza, &point, &embedded, &watch, &context.interrupt).await?;
    if drill {
        std::fs::remove_dir_all(&data).with_context(|| format!("removing {}", data.display()))?;
    }
    context.show(&PointReport {
        engine: "pgbackrest",
        drill,
        before: recovery.run.unwrap_or(recovery.lsn),
        data_dir: (!drill).then_some(data),
        reached,
    })
}

/// Resolves the recovery target from the flags, and a run's start from the journal.
async fn target(args: &PointInTimeArgs, context: &Context) -> Result<Target> {
    if let Some(lsn) = &args.before_lsn {
        // The server may be what was lost.
        return Ok(Target {
            lsn: lsn.clone(),
            run: None,
            system_identifier: None,
        });
    }
    let Some(run) = &args.before_run else {
        return Err(fail("no recovery target given")
            .hint("give a run with --before-run (see `af-db history`) or an LSN with --before-lsn")
            .into());
    };
    let (session, _) = context.open(Purpose::Reading).await?;
    let row = session
        .query_one(
            include_str!("../../backup/queries/run_start.sql"),
            &[(run, Type::TEXT)],
        )
        .await
        .context("looking for the run in the journal")?;
    let system_identifier = properties::server(&session).await?.0.system_identifier;
    session.close().await;
    if row.get::<_, i64>("runs") > 1 {
        return Err(fail(format!("several runs begin with `{run}`"))
            .hint("give more characters of the run id")
            .into());
    }
    match (row.get("lsn"), row.get("run")) {
        (Some(lsn), run) => Ok(Target {
            lsn,
            run,
            system_identifier,
        }),
        (None, Some(run)) => {
            let run: String = run;
            Err(
                refuse(format!("the journal has no start LSN for run {run}"))
                    .hint("give an LSN with --before-lsn")
                    .into(),
            )
        }
        (None, None) => Err(fail(format!("the journal has no run `{run}`"))
            .hint("list runs with `af-db history`")
            .into()),
    }
}

impl Report for PointReport {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn human(&self, page: &mut Page) {
        let reached = &self.reached;
        page.toned(
            Tone::Good,
            format!("cluster restored to just before {}", self.before),
        );
        page.line(format!(
            "from backup {}, replayed to {}: {} to copy, {} to replay",
            reached.backup,
            reached.lsn,
            seconds(reached.copy),
            seconds(reached.replay)
        ));
        if let Some(last) = &reached.last_commit {
            page.line(format!("last restored transaction committed at {last}"));
        }
        match &self.data_dir {
            Some(data) => page.line(format!(
                "The restored cluster is in {} (stopped). Start it there or replace the old data directory.",
                data.display()
            )),
            None => page.line("the restored cluster was tested and removed; keep it with --data-dir"),
        }
    }
}
