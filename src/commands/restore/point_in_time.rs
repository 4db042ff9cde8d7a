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

/// Flags that say how far and where to.
#[derive(clap::Args, Debug)]
pub(super) struct PointInTimeArgs {
    /// With pgBackRest: to just before this run of the journal, by the beginning of its name; `af-db history` lists them
    #[arg(long, value_name = "RUN", conflicts_with = "before_lsn")]
    before_run: Option<String>,
    /// With pgBackRest: to just before this place in the log, such as 0/AD650C0
    #[arg(long, value_name = "LSN")]
    before_lsn: Option<String>,
    /// With pgBackRest: the directory for the restored cluster, which must be empty or not exist
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl PointInTimeArgs {
    /// Refuses a point where there is none: an archive holds one moment, and taking it for another would be a loss.
    pub(super) fn refuse_without_engine(&self) -> Result<()> {
        let given = [
            ("--before-run", self.before_run.is_some()),
            ("--before-lsn", self.before_lsn.is_some()),
            ("--data-dir", self.data_dir.is_some()),
        ];
        match first_given(&given) {
            None => Ok(()),
            Some(flag) => Err(fail(format!(
                "{flag} goes with --engine pgbackrest, an archive holds one moment only; nothing was restored"
            ))
            .hint("add --engine pgbackrest, or take the archive that ends at a migration with --to-history VERSION")
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

/// What the live database says about the point.
struct Live {
    lsn: String,
    run: Option<String>,
    system_identifier: Option<String>,
}

/// Runs the command.
pub(super) async fn run(
    engine: &EngineArgs,
    args: &PointInTimeArgs,
    drill: bool,
    context: &Context,
) -> Result<Outcome> {
    let stanza = engine.stanza()?;
    let live = live(args, context).await?;
    let scratch = tempfile::Builder::new().prefix("af-db-drill-").tempdir()?;
    let data = match (&args.data_dir, drill) {
        (Some(data), _) => std::path::absolute(data)?,
        (None, true) => {
            crate::pg::embedded::privileges::give(scratch.path(), stanza.user.as_ref())?;
            scratch.path().join("data")
        }
        (None, false) => {
            return Err(fail("nothing says where the restored cluster is to go")
                .hint("name a new directory with --data-dir, or try it with --drill")
                .into());
        }
    };
    let writing = context.config.database.writing();
    let (database, user) = writing.map_or(("postgres", "postgres"), |target| {
        let user = target.user.as_deref().unwrap_or("postgres");
        (target.database(), user)
    });
    let point = RestorePoint {
        lsn: &live.lsn,
        run: live.run.as_deref(),
        data: &data,
        database,
        user,
        system_identifier: live.system_identifier.as_deref(),
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
        before: live.run.unwrap_or(live.lsn),
        data_dir: (!drill).then_some(data),
        reached,
    })
}

/// Finds the place: what the journal says of a run, or what a person typed.
async fn live(args: &PointInTimeArgs, context: &Context) -> Result<Live> {
    if let Some(lsn) = &args.before_lsn {
        // The server may be what was lost.
        return Ok(Live {
            lsn: lsn.clone(),
            run: None,
            system_identifier: None,
        });
    }
    let Some(run) = &args.before_run else {
        return Err(fail("nothing says how far to go")
            .hint("name a run with --before-run, as `af-db history` lists them, or a place with --before-lsn")
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
            .hint("write more of its name")
            .into());
    }
    match (row.get("lsn"), row.get("run")) {
        (Some(lsn), run) => Ok(Live {
            lsn,
            run,
            system_identifier,
        }),
        (None, Some(run)) => {
            let run: String = run;
            Err(refuse(format!(
                "the journal does not say where in the log run {run} began"
            ))
            .hint("name a place with --before-lsn")
            .into())
        }
        (None, None) => Err(fail(format!("the journal knows no run `{run}`"))
            .hint("`af-db history` lists them")
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
            format!("the cluster is as it was just before {}", self.before),
        );
        page.line(format!(
            "from backup {}, replayed to {}: {} to copy, {} to replay",
            reached.backup,
            reached.lsn,
            seconds(reached.copy),
            seconds(reached.replay)
        ));
        if let Some(last) = &reached.last_commit {
            page.line(format!(
                "the last transaction in it was committed at {last}"
            ));
        }
        match &self.data_dir {
            Some(data) => page.line(format!(
                "it is stopped and whole in {}: start it there, or put it in the old cluster's place",
                data.display()
            )),
            None => page.line("it was tried and removed again; --data-dir keeps it"),
        }
    }
}
