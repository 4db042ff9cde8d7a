//! The development server: a persistent embedded PostgreSQL, one per project.
//!
//! It outlives the command that started it, so a supervisor runs it: this same program, detached from the terminal. The
//! functions here only use the supervisor's files and wait; see [`supervise`] for the other side.

pub mod folder;
mod random;
pub mod registry;
mod registry_entry;
pub mod server_dir;
mod supervisor;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::event::{Event, Watch};
use crate::pg::embedded::{Options, file_lock};
use crate::pg::program::Program;
use crate::pg::target::Target;

pub use registry::ServerRegistry;
pub use server_dir::{AccessInfo, ServerDir};
pub use supervisor::supervise;

/// How long a development server runs without connections before it stops by itself.
pub const IDLE: Duration = Duration::from_secs(8 * 3600);

/// Time limit of start and stop; crash recovery is the slow case.
const PATIENCE: Duration = Duration::from_secs(150);

/// The command that runs this program as the supervisor.
#[derive(Clone, Debug)]
pub struct SupervisorCommand {
    pub program: PathBuf,
    /// Arguments that call [`supervise`] for the same directory.
    pub arguments: Vec<OsString>,
    /// The working directory, so that the same configuration is found.
    pub directory: PathBuf,
}

#[derive(Clone, Debug)]
pub struct RunningServer {
    pub target: Target,
    /// With the password.
    pub access: AccessInfo,
    /// Whether it was created just now, with an empty database.
    pub fresh: bool,
    /// Whether it was already running.
    pub found: bool,
}

/// Returns the development server if it is running.
pub fn status(dir: &ServerDir) -> Result<Option<RunningServer>> {
    if !dir.exists() || file_lock::attempt(&dir.owner_lock())?.is_some() || !dir.is_ready() {
        return Ok(None);
    }
    let access = dir
        .access()?
        .context("reading access.json of the development server")?;
    Ok(Some(RunningServer {
        target: access.target()?,
        access,
        fresh: false,
        found: true,
    }))
}

/// Starts the development server unless it is running.
///
/// Of two concurrent commands, one starts it and the other waits for it.
pub async fn start(
    dir: &ServerDir,
    again: &SupervisorCommand,
    watch: Watch<'_>,
) -> Result<RunningServer> {
    if let Some(running) = status(dir)? {
        return Ok(running);
    }
    dir.make()?;
    let _starting = file_lock::wait(&dir.start_lock()).await?;
    if let Some(running) = status(dir)? {
        return Ok(running);
    }
    let fresh = !dir.data().exists();
    let task = if fresh {
        "starting a local PostgreSQL"
    } else {
        "starting the development server"
    };
    watch(Event::Info(task));
    dir.clear_failure();
    let mut child = Program::new(&again.program)
        .args(&again.arguments)
        .directory(&again.directory)
        .start_detached(dir.open_supervisor_log()?)?;
    let began = Instant::now();
    loop {
        if let Some(mut running) = status(dir)? {
            running.fresh = fresh;
            running.found = false;
            watch(Event::Info(&format!(
                "PostgreSQL {}",
                running.access.server
            )));
            return Ok(running);
        }
        if let Some(failure) = dir.failure() {
            return Err(failure.into());
        }
        let ended = child.try_wait().context("watching the supervisor")?;
        if let Some(status) = ended
            && dir.failure().is_none()
            && file_lock::attempt(&dir.owner_lock())?.is_some()
        {
            return Err(did_not_start(
                dir,
                &format!("the supervisor exited ({status})"),
            ));
        }
        if began.elapsed() > PATIENCE {
            let waited = format!("not ready after {} seconds", PATIENCE.as_secs());
            return Err(did_not_start(dir, &waited));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn did_not_start(dir: &ServerDir, reason: &str) -> anyhow::Error {
    fail(format!("the development server did not start: {reason}"))
        .hint(format!("see the log: {}", dir.log().display()))
        .into()
}

/// Stops the development server and returns whether it was running.
pub async fn stop(dir: &ServerDir) -> Result<bool> {
    if !dir.exists() || file_lock::attempt(&dir.owner_lock())?.is_some() {
        return Ok(false);
    }
    let began = Instant::now();
    // Requested through a file: a process id may have been reused.
    dir.ask_to_stop()?;
    while file_lock::attempt(&dir.owner_lock())?.is_none() {
        if began.elapsed() > PATIENCE {
            return Err(fail(format!(
                "the development server did not stop within {} seconds",
                PATIENCE.as_secs()
            ))
            .hint(format!("see the log: {}", dir.log().display()))
            .into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(true)
}

/// Stops the development server and removes its data; the next start creates an empty one.
pub async fn reset(dir: &ServerDir) -> Result<()> {
    stop(dir).await?;
    if !dir.exists() {
        return Ok(());
    }
    let _starting = file_lock::wait(&dir.start_lock()).await?;
    for directory in [dir.data(), dir.part()] {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", directory.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the major version of the data directory, if there is one.
pub fn major(dir: &ServerDir) -> Option<u32> {
    let text = fs::read_to_string(dir.data().join("PG_VERSION")).ok()?;
    text.trim().parse().ok()
}

/// Opens `psql` on the development server, on this terminal, and returns its exit status.
pub async fn psql(running: &RunningServer, options: &Options, arguments: &[String]) -> Result<i32> {
    let name = crate::pg::embedded::binaries::executable("psql");
    let program = options
        .path
        .iter()
        .map(|directory| directory.join(&name))
        .find(|program| program.is_file())
        .or_else(|| find_beside_server(options, &name))
        .ok_or_else(|| {
            fail("psql is not installed")
                .hint("install PostgreSQL's client programs, or use another client with the URL from `af-db dev url`")
        })?;
    let mut program = Program::new(program).args(arguments);
    for (variable, value) in running.target.environment() {
        program = program.env(variable, value);
    }
    let status = program.run_on_terminal().await?;
    Ok(status.code().unwrap_or(130))
}

fn find_beside_server(options: &Options, name: &str) -> Option<PathBuf> {
    let named = options.binaries.iter().cloned();
    named
        .chain(crate::pg::embedded::find::well_known())
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
