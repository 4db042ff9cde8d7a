//! Owns the development server: an embedded PostgreSQL that stays, one for each project.
//!
//! It outlives the command that started it, so it belongs to a supervisor: this same program, run again apart from the
//! terminal. Start, stop and the rest here only look at the supervisor's files and wait; see [`supervise`] for its side.

pub mod folder;
pub mod place;
pub mod register;
mod supervisor;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::event::{Event, Watch};
use crate::pg::embedded::{Options, lock};
use crate::pg::target::Target;
use crate::pg::tools::Tool;

pub use place::{Access, Place};
pub use register::Register;
pub use supervisor::supervise;

/// How long a development server runs without anybody connected before it stops by itself.
pub const IDLE: Duration = Duration::from_secs(8 * 3600);

/// How long starting or stopping may take; recovery after a crash is the slow case.
const PATIENCE: Duration = Duration::from_secs(150);

/// How to run this program again as the supervisor.
#[derive(Clone, Debug)]
pub struct Again {
    /// The program.
    pub program: PathBuf,
    /// Arguments that lead to [`supervise`] for the same place.
    pub arguments: Vec<OsString>,
    /// The directory to run in, so that the same configuration is found.
    pub directory: PathBuf,
}

/// A development server that runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// The address of its database.
    pub target: Target,
    /// How to reach it, with the password.
    pub access: Access,
    /// Whether it was made just now, with an empty database.
    pub fresh: bool,
    /// Whether it ran already.
    pub found: bool,
}

/// Gives the development server of a place if it runs.
pub fn status(place: &Place) -> Result<Option<Running>> {
    if !place.exists() || lock::attempt(&place.owner_lock())?.is_some() || !place.is_ready() {
        return Ok(None);
    }
    let access = place
        .access()?
        .context("reading how to reach the development server")?;
    Ok(Some(Running {
        target: access.target()?,
        access,
        fresh: false,
        found: true,
    }))
}

/// Starts the development server of a place, or finds it running.
///
/// Two at once: one starts it, the other waits and finds it.
pub async fn start(place: &Place, again: &Again, watch: Watch<'_>) -> Result<Running> {
    if let Some(running) = status(place)? {
        return Ok(running);
    }
    place.make()?;
    let _starting = lock::wait(&place.start_lock()).await?;
    if let Some(running) = status(place)? {
        return Ok(running);
    }
    let fresh = !place.data().exists();
    let task = if fresh {
        "making the development server"
    } else {
        "starting the development server"
    };
    watch(Event::Said(task));
    place.forget_failure();
    let mut child = Tool::new(&again.program)
        .args(&again.arguments)
        .directory(&again.directory)
        .start_detached(place.open_supervisor_log()?)?;
    let began = Instant::now();
    loop {
        if let Some(mut running) = status(place)? {
            running.fresh = fresh;
            running.found = false;
            watch(Event::Said(&format!(
                "PostgreSQL {}",
                running.access.server
            )));
            return Ok(running);
        }
        if let Some(failure) = place.failure() {
            return Err(failure.into());
        }
        let ended = child.try_wait().context("watching the supervisor")?;
        if let Some(status) = ended
            && place.failure().is_none()
            && lock::attempt(&place.owner_lock())?.is_some()
        {
            return Err(did_not_start(
                place,
                &format!("its supervisor ended with {status}"),
            ));
        }
        if began.elapsed() > PATIENCE {
            let waited = format!("it was not ready after {} seconds", PATIENCE.as_secs());
            return Err(did_not_start(place, &waited));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn did_not_start(place: &Place, reason: &str) -> anyhow::Error {
    fail(format!("the development server did not start: {reason}"))
        .hint(format!("its log may say more: {}", place.log().display()))
        .into()
}

/// Stops the development server of a place and says whether it ran.
pub async fn stop(place: &Place) -> Result<bool> {
    if !place.exists() || lock::attempt(&place.owner_lock())?.is_some() {
        return Ok(false);
    }
    let began = Instant::now();
    // Asked through a file: a process id may have become somebody else's.
    place.ask_to_stop()?;
    while lock::attempt(&place.owner_lock())?.is_none() {
        if began.elapsed() > PATIENCE {
            return Err(fail(format!(
                "the development server did not stop within {} seconds",
                PATIENCE.as_secs()
            ))
            .hint(format!("its log may say why: {}", place.log().display()))
            .into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(true)
}

/// Stops the development server and removes its data; the next start makes an empty one.
pub async fn reset(place: &Place) -> Result<()> {
    stop(place).await?;
    if !place.exists() {
        return Ok(());
    }
    let _starting = lock::wait(&place.start_lock()).await?;
    for directory in [place.data(), place.part()] {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", directory.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names the major version the data of a place belongs to, where there is any.
pub fn major(place: &Place) -> Option<u32> {
    let text = fs::read_to_string(place.data().join("PG_VERSION")).ok()?;
    text.trim().parse().ok()
}

/// Opens `psql` on the development server, on this terminal, and gives its exit status.
pub async fn psql(running: &Running, options: &Options, arguments: &[String]) -> Result<i32> {
    let name = crate::pg::embedded::find::executable("psql");
    let program = options
        .path
        .iter()
        .map(|directory| directory.join(&name))
        .find(|program| program.is_file())
        .or_else(|| beside_a_server(options, &name))
        .ok_or_else(|| {
            fail("there is no psql on this machine")
                .hint("install PostgreSQL's client programs, or use another client with the address that af-db dev url gives")
        })?;
    let mut tool = Tool::new(program).args(arguments);
    for (variable, value) in running.target.environment() {
        tool = tool.env(variable, value);
    }
    let status = tool.run_on_terminal().await?;
    Ok(status.code().unwrap_or(130))
}

fn beside_a_server(options: &Options, name: &str) -> Option<PathBuf> {
    let named = options.binaries.iter().cloned();
    named
        .chain(crate::pg::embedded::find::well_known())
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
