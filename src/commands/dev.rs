//! `af-db dev`: the embedded PostgreSQL of this project.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::Page;
use crate::commands::{Context, Outcome, Report, embedded, project};
use crate::error::fail;
use crate::pg::dev::{self, Place, Running};

/// Flags of `dev`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Start it, or find it running
    Start {
        /// Stop by itself when nobody was connected for this long, such as 8h
        #[arg(long, value_name = "TIME", default_value = "8h")]
        idle: String,
    },
    /// Stop it; its data stays
    Stop,
    /// Show whether it runs, and where
    Status,
    /// Write its address with its password, starting it if need be
    Url,
    /// Remove its data and start it empty
    Reset,
    /// Open psql on it, starting it if need be
    Psql {
        /// Arguments for psql, such as -c 'select 1'
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENT"
        )]
        arguments: Vec<String>,
    },
    /// Run it until it is asked to stop; what `start` leaves behind
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        place: PathBuf,
        #[arg(long)]
        idle: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DevReport {
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip)]
    said: &'static str,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let place = embedded::place(context);
    match &args.verb {
        Verb::Start { idle } => {
            let running = embedded::start(context, project::duration("--idle", idle)?).await?;
            let said = if running.found {
                "runs already"
            } else {
                "started"
            };
            context.show(&report(&place, Some(&running), said))
        }
        Verb::Stop => {
            let ran = dev::stop(&place).await?;
            let said = if ran { "stopped" } else { "was not running" };
            context.show(&report(&place, None, said))
        }
        Verb::Status => {
            let running = dev::status(&place)?;
            let said = match &running {
                Some(_) => "runs",
                None if place.data().exists() => "is stopped",
                None => "was never started",
            };
            context.show(&report(&place, running.as_ref(), said))
        }
        Verb::Url => {
            let running = embedded::start(context, dev::IDLE).await?;
            let mut report = report(&place, Some(&running), "");
            report.url = Some(running.access.url());
            context.show(&report)
        }
        Verb::Reset => reset(&place, context).await,
        Verb::Psql { arguments } => psql(arguments, context).await,
        Verb::Supervise { place, idle } => {
            let idle = project::duration("--idle", idle)?;
            let options = context.config.embedded(None)?;
            dev::supervise(&Place::at(place.clone()), &options, idle).await?;
            Ok(Outcome::Clean)
        }
    }
}

async fn reset(place: &Place, context: &Context) -> Result<Outcome> {
    if place.data().exists() {
        context.confirm("Remove the development database and everything in it?")?;
    }
    dev::reset(place).await?;
    let running = embedded::start(context, dev::IDLE).await?;
    context.show(&report(place, Some(&running), "started empty"))
}

async fn psql(arguments: &[String], context: &Context) -> Result<Outcome> {
    let running = embedded::start(context, dev::IDLE).await?;
    let options = context.config.embedded(None)?;
    match dev::psql(&running, &options, arguments).await? {
        0 => Ok(Outcome::Clean),
        status => Err(fail(format!("psql ended with status {status}")).into()),
    }
}

fn report(place: &Place, running: Option<&Running>, said: &'static str) -> DevReport {
    DevReport {
        running: running.is_some(),
        server: running.map(|it| it.access.server.clone()),
        port: running.map(|it| it.access.port),
        directory: place
            .data()
            .exists()
            .then(|| place.directory.display().to_string()),
        url: None,
        said,
    }
}

impl Report for DevReport {
    fn command(&self) -> &'static str {
        "dev"
    }

    fn human(&self, page: &mut Page) {
        if let Some(url) = &self.url {
            page.line(url);
            return;
        }
        let said = self.said;
        match (&self.server, self.port) {
            (Some(server), Some(port)) => page.line(format!(
                "the development server {said}: PostgreSQL {server} on 127.0.0.1:{port}"
            )),
            _ => page.line(format!("the development server {said}")),
        }
        if let Some(directory) = &self.directory {
            page.line(format!("  data in {directory}"));
        }
    }
}
