//! A running server: start, readiness, shutdown.
//!
//! Readiness is read from the pid file of our own child; a socket alone may belong to another server.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::error::{Failure, fail};
use crate::pg::child_server::{ChildServer, ShutdownMode};
use crate::pg::embedded::binaries::Version;
use crate::pg::embedded::privileges::{self, User};
use crate::pg::embedded::sandbox::Sandbox;
use crate::pg::embedded::{ChosenPrograms, file_lock, private_files};
use crate::pg::program::Program;
use crate::pg::target::Target;

/// Start-up time limit; crash recovery of a development server is the slow case.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that is shut down when this value is dropped.
pub struct Cluster {
    process: ChildServer,
    data: PathBuf,
    /// Its shared memory, read before any SQL could write into its data directory.
    segment: Option<u32>,
    pub version: Version,
}

/// The parameters of a server.
pub struct Start<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The directory of its Unix socket, if it has one.
    pub sockets: Option<&'a Path>,
    /// The log file.
    pub log: &'a Path,
    /// Settings, as `name=value`.
    pub settings: &'a [String],
    /// How it is shut down if this process is killed.
    pub on_our_death: ShutdownMode,
    /// The sandbox of a server that runs unreviewed SQL.
    pub sandbox: Option<Arc<Sandbox>>,
}

impl Cluster {
    /// Starts a server and waits until it accepts connections.
    pub async fn start(programs: &ChosenPrograms, start: &Start<'_>) -> Result<Self> {
        clear_stale(start.data);
        let log = open_log(start.log, programs.user.as_ref())?;
        let mut program = Program::new(programs.binaries.program("postgres"))
            .arg("-D")
            .arg(start.data)
            .directory("/")
            .user(programs.user.as_ref())
            .sandbox(start.sandbox.clone());
        if let Some(sockets) = start.sockets {
            program = program.arg("-k").arg(sockets);
        }
        for setting in start.settings {
            program = program.arg("-c").arg(setting);
        }
        let process = ChildServer::start(&program, log, start.on_our_death)?;
        let mut cluster = Cluster {
            process,
            data: start.data.to_owned(),
            segment: None,
            version: programs.binaries.version,
        };
        cluster.segment = cluster.ready(start.log).await?;
        Ok(cluster)
    }

    async fn ready(&self, log: &Path) -> Result<Option<u32>> {
        let began = Instant::now();
        loop {
            // Checked first: a server that ended must not be missed because its pid file still exists.
            let ended = self.process.ended();
            if let Some(file) = file_lock::pid_file(&self.data)
                && file.pid == self.process.pid()
                && file.ready
            {
                return Ok(file.segment);
            }
            if let Some(status) = ended {
                return Err(start_error(&format!("the server exited ({status})"), log));
            }
            if began.elapsed() > PATIENCE {
                let waited = format!("not ready after {} seconds", PATIENCE.as_secs());
                return Err(start_error(&waited, log));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns whether it has ended, by itself or by another process.
    pub fn has_ended(&self) -> bool {
        self.process.ended().is_some()
    }

    /// Shuts it down and waits for its end.
    pub fn stop(&mut self, mode: ShutdownMode) {
        self.process.stop(mode);
        if let Some(segment) = self.segment
            && file_lock::pid_file(&self.data).is_some()
        {
            file_lock::forget_segment(segment);
        }
    }
}

fn open_log(path: &Path, user: Option<&User>) -> Result<fs::File> {
    let log = private_files::create(path).with_context(|| format!("opening {}", path.display()))?;
    privileges::give_file(&log, user)
        .with_context(|| format!("changing the owner of {}", path.display()))?;
    Ok(log)
}

/// Removes a stale pid file, which would keep the server from starting.
fn clear_stale(data: &Path) {
    if data.join("postmaster.pid").exists() && file_lock::running_server(data).is_none() {
        let _ = fs::remove_file(data.join("postmaster.pid"));
    }
}

fn start_error(reason: &str, log: &Path) -> anyhow::Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    explain(reason, &text).into()
}

/// Returns the last error message in the output of a server or one of its programs.
pub fn complaint(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        let marks = ["FATAL:  ", "error: "];
        let found = marks.iter().find_map(|mark| line.split_once(mark));
        found.map(|(_, words)| words.trim())
    })
}

fn explain(reason: &str, text: &str) -> Failure {
    let complaint = complaint(text)
        .or_else(|| text.lines().last())
        .unwrap_or("no error message");
    let hint = if text.contains("No space left on device") {
        "free disk space, or set AF_DB_SCRATCH_DIR to a directory with free space".to_owned()
    } else if text.contains("shared memory") {
        "not enough shared memory; free some, or set AF_DB_SHADOW_URL to a running server"
            .to_owned()
    } else {
        "set AF_DB_SHADOW_URL to a running server, or AF_DB_PG_BIN to another PostgreSQL".to_owned()
    };
    fail(format!(
        "the embedded PostgreSQL did not start: {reason}: {complaint}"
    ))
    .hint(hint)
}

/// Returns the target of a server of our own that no other user can connect to: a socket in its private directory.
///
/// Where the driver does not support sockets, a free port on this machine, which is added to the settings.
pub fn private_address(sockets: &Path, settings: &mut Vec<String>) -> Result<Target> {
    let target = Target::parse("user=postgres sslmode=disable")?;
    if cfg!(unix) {
        return Ok(target.with_socket(sockets));
    }
    let port = free_port()?;
    settings.push("listen_addresses=127.0.0.1".to_owned());
    settings.push(format!("port={port}"));
    Ok(target.with_address("127.0.0.1", port))
}

/// Returns a port of this machine on which nothing listens.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    let address = listener.local_addr().context("looking for a free port")?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(reason: &str, text: &str) -> String {
        let failure = explain(reason, text);
        format!(
            "{failure}\nhint: {}",
            failure.hint.as_deref().unwrap_or("none")
        )
    }

    #[test]
    fn a_failed_start_is_explained_with_the_servers_error() {
        insta::assert_snapshot!(shown("the server exited (exit status: 1)", "2026 LOG:  starting\n2026 FATAL:  data directory \"/d\" has wrong ownership\n2026 HINT:  x"), @r#"
        the embedded PostgreSQL did not start: the server exited (exit status: 1): data directory "/d" has wrong ownership
        hint: set AF_DB_SHADOW_URL to a running server, or AF_DB_PG_BIN to another PostgreSQL
        "#);
        insta::assert_snapshot!(shown("the server exited (exit status: 1)", "2026 FATAL:  could not write lock file: No space left on device"), @r"
        the embedded PostgreSQL did not start: the server exited (exit status: 1): could not write lock file: No space left on device
        hint: free disk space, or set AF_DB_SCRATCH_DIR to a directory with free space
        ");
        insta::assert_snapshot!(shown("the server exited (exit status: 1)", "2026 FATAL:  could not create shared memory segment: Cannot allocate memory"), @r"
        the embedded PostgreSQL did not start: the server exited (exit status: 1): could not create shared memory segment: Cannot allocate memory
        hint: not enough shared memory; free some, or set AF_DB_SHADOW_URL to a running server
        ");
        insta::assert_snapshot!(shown("not ready after 120 seconds", ""), @r"
        the embedded PostgreSQL did not start: not ready after 120 seconds: no error message
        hint: set AF_DB_SHADOW_URL to a running server, or AF_DB_PG_BIN to another PostgreSQL
        ");
    }
}
