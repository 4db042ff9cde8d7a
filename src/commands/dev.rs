//! `af-db dev`: the embedded PostgreSQL of this project.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::commands::page::{Page, count};
use crate::commands::{Context, Outcome, Report, embedded, project};
use crate::error::fail;
use crate::pg::dev::registry::RegisteredServer;
use crate::pg::dev::{self, RunningServer, ServerDir};

/// Flags of `dev`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Start the local server
    Start {
        /// Stop the server when it had no connections for this long
        #[arg(long, value_name = "TIME", default_value = "8h")]
        idle: String,
    },
    /// Stop the local server and keep its data
    Stop,
    /// Show whether the local server is running, and where its data is
    Status,
    /// Print the connection URL with its password, starting the server if needed
    Url,
    /// Delete the data and start the server empty
    Reset,
    /// List all local servers of this machine with their projects
    List,
    /// Remove the local servers whose projects are gone, with their data
    Prune,
    /// Open psql on the local server, starting it if needed
    Psql {
        /// Arguments for psql, such as -c 'select 1'
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENT"
        )]
        arguments: Vec<String>,
    },
    /// Run the server in the foreground; started by `start`
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
                "is already running"
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
                Some(_) => "is running",
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
        Verb::List => list(context),
        Verb::Prune => prune(context).await,
        Verb::Psql { arguments } => psql(arguments, context).await,
        Verb::Supervise { place, idle } => {
            let idle = project::duration("--idle", idle)?;
            let options = context.config.embedded(None)?;
            dev::supervise(&ServerDir::at(place.clone()), &options, idle).await?;
            Ok(Outcome::Clean)
        }
    }
}

async fn reset(place: &ServerDir, context: &Context) -> Result<Outcome> {
    if place.data().exists() {
        context.confirm("Delete the local database and all its data?")?;
    }
    dev::reset(place).await?;
    let running = embedded::start(context, dev::IDLE).await?;
    context.show(&report(place, Some(&running), "started empty"))
}

/// A local server.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Server {
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    directory: String,
    running: bool,
    bytes: u64,
    project_is_gone: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ListReport {
    servers: Vec<Server>,
    #[serde(skip)]
    command: &'static str,
}

fn list(context: &Context) -> Result<Outcome> {
    let servers = context.config.development_servers().list();
    let servers = servers.iter().map(server).collect::<Result<_>>()?;
    context.show(&ListReport {
        servers,
        command: "dev list",
    })
}

/// Removes the servers whose projects no longer exist.
async fn prune(context: &Context) -> Result<Outcome> {
    let mut gone = context.config.development_servers().list();
    gone.retain(RegisteredServer::is_gone);
    let servers: Vec<Server> = gone.iter().map(server).collect::<Result<_>>()?;
    if !gone.is_empty() {
        for server in &servers {
            context.terminal.say(&server.line());
        }
        let servers = count(gone.len(), "local server", "local servers");
        context.confirm(&format!("Delete {servers} with all data?"))?;
    }
    for one in &gone {
        dev::stop(&one.dir).await?;
        one.remove()
            .with_context(|| format!("removing {}", one.dir.directory.display()))?;
    }
    context.show(&ListReport {
        servers,
        command: "dev prune",
    })
}

fn server(listed: &RegisteredServer) -> Result<Server> {
    Ok(Server {
        project: listed
            .project
            .as_ref()
            .map(|path| path.display().to_string()),
        directory: listed.dir.directory.display().to_string(),
        running: dev::status(&listed.dir)?.is_some(),
        bytes: listed.bytes(),
        project_is_gone: listed.is_gone(),
    })
}

impl Server {
    fn line(&self) -> String {
        let state = if self.running { "running" } else { "stopped" };
        let project = self.project.as_deref().unwrap_or("unknown project");
        let gone = if self.project_is_gone {
            ", project deleted"
        } else {
            ""
        };
        let megabytes = self.bytes.div_ceil(1_000_000);
        format!(
            "{state}, {megabytes} MB, {}: {project}{gone}",
            self.directory
        )
    }
}

impl Report for ListReport {
    fn command(&self) -> &'static str {
        self.command
    }

    fn human(&self, page: &mut Page) {
        if self.command == "dev prune" {
            let removed = count(self.servers.len(), "local server", "local servers");
            page.line(format!("removed {removed}"));
            return;
        }
        if self.servers.is_empty() {
            page.line("no local servers");
        }
        for server in &self.servers {
            page.line(server.line());
        }
    }
}

async fn psql(arguments: &[String], context: &Context) -> Result<Outcome> {
    let running = embedded::start(context, dev::IDLE).await?;
    let options = context.config.embedded(None)?;
    match dev::psql(&running, &options, arguments).await? {
        0 => Ok(Outcome::Clean),
        status => Err(fail(format!("psql exited with status {status}")).into()),
    }
}

fn report(place: &ServerDir, running: Option<&RunningServer>, said: &'static str) -> DevReport {
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

    fn shows_password(&self) -> bool {
        self.url.is_some()
    }

    fn human(&self, page: &mut Page) {
        if let Some(url) = &self.url {
            // With its password: `dev url` is for that.
            page.document(url);
            return;
        }
        let said = self.said;
        match (&self.server, self.port) {
            (Some(server), Some(port)) => page.line(format!(
                "local server {said}: PostgreSQL {server} on 127.0.0.1:{port}"
            )),
            _ => page.line(format!("local server {said}")),
        }
        if let Some(directory) = &self.directory {
            page.line(format!("  data in {directory}"));
        }
    }
}
