//! Owns a running server: its start, when it is ready, its end.
//!
//! Readiness is what the server's own pid file says about our own child; a socket alone may belong to somebody else's.

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

/// How long a server may take to start; recovery of a killed development server is the slow case.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that ends with this value.
pub struct Cluster {
    kept: ChildServer,
    data: PathBuf,
    /// Its shared memory, as it was before any SQL could write into its directory.
    segment: Option<u32>,
    pub version: Version,
}

/// What a server is started with, beside its programs.
pub struct Start<'a> {
    /// Its data directory.
    pub data: &'a Path,
    /// Where its socket goes, if it has one.
    pub sockets: Option<&'a Path>,
    /// What it says goes here.
    pub log: &'a Path,
    /// Settings, as `name=value`.
    pub settings: &'a [String],
    /// How it is asked to end should we be killed.
    pub on_our_death: ShutdownMode,
    /// What confines it, where it runs SQL that nobody has reviewed.
    pub sandbox: Option<Arc<Sandbox>>,
}

impl Cluster {
    /// Starts a server and waits until it takes sessions.
    pub async fn start(choice: &ChosenPrograms, start: &Start<'_>) -> Result<Self> {
        clear_stale(start.data);
        let log = open_log(start.log, choice.user.as_ref())?;
        let mut tool = Program::new(choice.binaries.program("postgres"))
            .arg("-D")
            .arg(start.data)
            .directory("/")
            .user(choice.user.as_ref())
            .sandbox(start.sandbox.clone());
        if let Some(sockets) = start.sockets {
            tool = tool.arg("-k").arg(sockets);
        }
        for setting in start.settings {
            tool = tool.arg("-c").arg(setting);
        }
        let kept = ChildServer::start(&tool, log, start.on_our_death)?;
        let mut cluster = Cluster {
            kept,
            data: start.data.to_owned(),
            segment: None,
            version: choice.binaries.version,
        };
        cluster.segment = cluster.ready(start.log).await?;
        Ok(cluster)
    }

    async fn ready(&self, log: &Path) -> Result<Option<u32>> {
        let began = Instant::now();
        loop {
            // Asked first: a server that ended must not be missed because its pid file is still there.
            let ended = self.kept.ended();
            if let Some(file) = file_lock::pid_file(&self.data)
                && file.pid == self.kept.pid()
                && file.ready
            {
                return Ok(file.segment);
            }
            if let Some(status) = ended {
                return Err(not_started(&format!("it ended with {status}"), log));
            }
            if began.elapsed() > PATIENCE {
                let waited = format!("it was not ready after {} seconds", PATIENCE.as_secs());
                return Err(not_started(&waited, log));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.kept.pid()
    }

    /// Returns whether it has ended by itself or by somebody else's hand.
    pub fn has_ended(&self) -> bool {
        self.kept.ended().is_some()
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&mut self, ask: ShutdownMode) {
        self.kept.stop(ask);
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
        .with_context(|| format!("handing {} to the server's user", path.display()))?;
    Ok(log)
}

/// Removes a pid file that names no server of this directory: the server would believe it and refuse to start.
fn clear_stale(data: &Path) {
    if data.join("postmaster.pid").exists() && file_lock::running_server(data).is_none() {
        let _ = fs::remove_file(data.join("postmaster.pid"));
    }
}

fn not_started(reason: &str, log: &Path) -> anyhow::Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    explain(reason, &text).into()
}

/// Returns the last thing a server or one of its programs complained of.
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
        .unwrap_or("it said nothing");
    let hint = if text.contains("No space left on device") {
        "make room, or set AF_DB_SCRATCH_DIR to a directory with room".to_owned()
    } else if text.contains("shared memory") {
        "the machine gives too little shared memory; free some, or point AF_DB_SHADOW_URL at a server".to_owned()
    } else {
        "point AF_DB_SHADOW_URL at a server that runs, or AF_DB_PG_BIN at another PostgreSQL"
            .to_owned()
    };
    fail(format!(
        "the embedded PostgreSQL did not start, {reason}: {complaint}"
    ))
    .hint(hint)
}

/// Returns the address of a server of our own that nobody else can enter: a socket in its private directory.
///
/// Where the driver knows no sockets it is a free port on this machine, which is added to the settings.
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

/// Returns a port of this machine that nobody listens on.
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
    fn why_a_server_did_not_start_is_in_its_own_words() {
        insta::assert_snapshot!(shown("it ended with exit status: 1", "2026 LOG:  starting\n2026 FATAL:  data directory \"/d\" has wrong ownership\n2026 HINT:  x"), @r#"
        the embedded PostgreSQL did not start, it ended with exit status: 1: data directory "/d" has wrong ownership
        hint: point AF_DB_SHADOW_URL at a server that runs, or AF_DB_PG_BIN at another PostgreSQL
        "#);
        insta::assert_snapshot!(shown("it ended with exit status: 1", "2026 FATAL:  could not write lock file: No space left on device"), @r"
        the embedded PostgreSQL did not start, it ended with exit status: 1: could not write lock file: No space left on device
        hint: make room, or set AF_DB_SCRATCH_DIR to a directory with room
        ");
        insta::assert_snapshot!(shown("it ended with exit status: 1", "2026 FATAL:  could not create shared memory segment: Cannot allocate memory"), @r"
        the embedded PostgreSQL did not start, it ended with exit status: 1: could not create shared memory segment: Cannot allocate memory
        hint: the machine gives too little shared memory; free some, or point AF_DB_SHADOW_URL at a server
        ");
        insta::assert_snapshot!(shown("it was not ready after 120 seconds", ""), @r"
        the embedded PostgreSQL did not start, it was not ready after 120 seconds: it said nothing
        hint: point AF_DB_SHADOW_URL at a server that runs, or AF_DB_PG_BIN at another PostgreSQL
        ");
    }
}
