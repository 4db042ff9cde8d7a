//! Starts the local PostgreSQL server of the project.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::commands::{Context, project};
use crate::event::Event;
use crate::pg::dev::{self, RunningServer, ServerDir, SupervisorCommand};
use crate::pg::{connect, supabase};

pub(crate) fn place(context: &Context) -> ServerDir {
    let servers = context.config.development_servers();
    servers.server_dir(&context.config.root)
}

/// Starts the project's local server if needed; prepares the Supabase schemas and roles if the migrations use them.
pub(crate) async fn start(context: &Context, idle: Duration) -> Result<RunningServer> {
    let place = place(context);
    let watch = context.watch();
    let running = dev::start(&place, &supervisor_command(context, &place, idle)?, &watch).await?;
    if !running.found && expects_supabase(context) {
        let session = connect::open(&running.target, &watch).await?;
        let row = session
            .query_one("SELECT pg_catalog.to_regnamespace('auth') IS NULL", &[])
            .await?;
        if row.get(0) {
            watch(Event::Info("creating the schemas and roles of Supabase"));
            supabase::prepare(&session).await?;
        }
        session.close().await;
    }
    Ok(running)
}

/// Errors in the migration files are reported by the commands that need them.
fn expects_supabase(context: &Context) -> bool {
    project::folder(context).is_ok_and(|folder| {
        let texts = folder.migrations.iter();
        supabase::is_expected(texts.map(|migration| &*migration.up.text))
    })
}

/// The command line that runs [`dev::supervise`] in this program with the same configuration.
fn supervisor_command(
    context: &Context,
    place: &ServerDir,
    idle: Duration,
) -> Result<SupervisorCommand> {
    let program = std::env::current_exe().context("finding the executable of af-db")?;
    let mut arguments: Vec<std::ffi::OsString> = vec!["dev".into(), "supervise".into()];
    arguments.push("--place".into());
    arguments.push(place.directory.clone().into());
    arguments.push("--idle".into());
    arguments.push(format!("{}s", idle.as_secs()).into());
    if let Some(path) = &context.config.path {
        arguments.push("--config".into());
        arguments.push(path.into());
    }
    Ok(SupervisorCommand {
        program,
        arguments,
        directory: context.config.root.clone(),
    })
}
