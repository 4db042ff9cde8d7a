//! The directory of a development server, with the files by which its supervisor and the commands communicate.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::error::{Failure, fail};
use crate::pg::dev::folder::ProjectFolder;
use crate::pg::dev::registry_entry::RegistryEntry;
use crate::pg::embedded::{private_files, privileges};
use crate::pg::target::Target;

/// The directory of a development server.
#[derive(Clone, Debug)]
pub struct ServerDir {
    pub directory: PathBuf,
    /// The registry's entry.
    pub(super) record: Option<RegistryEntry>,
}

/// The connection parameters of a development server; stored in a file that only its owner can read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AccessInfo {
    /// The format version of this file.
    pub version: u32,
    /// The server's version as text.
    pub server: String,
    pub port: u16,
    /// The password of `postgres`.
    pub password: String,
    #[serde(default = "first_database")]
    pub database: String,
}

/// The database of servers created before they had one of their own.
fn first_database() -> String {
    "postgres".to_owned()
}

impl AccessInfo {
    /// Returns the connection URL with the password; for output on request only.
    pub fn url(&self) -> String {
        let AccessInfo {
            port,
            password,
            database,
            ..
        } = self;
        format!("postgresql://postgres:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    pub fn target(&self) -> Result<Target> {
        Target::parse(&self.url())
    }
}

impl ServerDir {
    /// Takes a directory given by the user.
    pub fn at(directory: PathBuf) -> Self {
        ServerDir {
            directory,
            record: None,
        }
    }

    pub fn exists(&self) -> bool {
        self.directory.is_dir()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns the directory in which the data directory is prepared.
    pub fn part(&self) -> PathBuf {
        self.directory.join("data.part")
    }

    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Returns the lock held by the supervisor while it runs.
    pub fn owner_lock(&self) -> PathBuf {
        self.directory.join("owner.lock")
    }

    /// Returns the lock held while the server is being started.
    pub fn start_lock(&self) -> PathBuf {
        self.directory.join("start.lock")
    }

    /// Creates the directory, ignored by version control, and its registry entry.
    pub fn make(&self) -> Result<()> {
        let failed = |error: std::io::Error| private_files::cannot_write(&self.directory, &error);
        if !self.exists() {
            if privileges::is_root() {
                // The server's user must be able to enter it.
                private_files::make_folder(&self.directory)?;
            } else {
                self.make_in_project().map_err(failed)?;
            }
        }
        match &self.record {
            Some(record) => record.write().map_err(failed),
            None => Ok(()),
        }
    }

    fn make_in_project(&self) -> std::io::Result<()> {
        match &self.record {
            Some(record) => ProjectFolder::of(&record.project).make("dev").map(drop),
            None => {
                if let Some(parent) = self.directory.parent() {
                    fs::create_dir_all(parent)?;
                }
                private_files::make_private(&self.directory)
            }
        }
    }

    /// Reads the connection parameters, if recorded.
    pub fn access(&self) -> Result<Option<AccessInfo>> {
        let path = self.directory.join("access.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let access: AccessInfo =
            serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        Ok(Some(access))
    }

    pub(super) fn write_access(&self, access: &AccessInfo) -> Result<()> {
        let text = serde_json::to_string(access).context("writing access.json")?;
        self.write("access.json", &text)
    }

    /// Returns whether the supervisor has reported that the server accepts connections.
    pub fn is_ready(&self) -> bool {
        self.directory.join("ready").exists()
    }

    pub(super) fn report_ready(&self) -> Result<()> {
        self.write("ready", "")
    }

    /// Removes the messages of an earlier run.
    pub(super) fn clear(&self) {
        for name in ["ready", "stop"] {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }

    pub(super) fn ask_to_stop(&self) -> Result<()> {
        self.write("stop", "")
    }

    pub(super) fn is_asked_to_stop(&self) -> bool {
        self.directory.join("stop").exists()
    }

    /// Records why the start failed, for the command that waits for it.
    pub(super) fn report_failure(&self, error: &anyhow::Error) {
        let told = StartFailure {
            message: format!("{error:#}"),
            hint: crate::error::hint_of(error).map(str::to_owned),
        };
        // Without the file the command still sees that the supervisor has ended.
        if let Ok(text) = serde_json::to_string(&told) {
            let _ = self.write("failure", &text);
        }
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        let text = fs::read_to_string(self.directory.join("failure")).ok()?;
        let told: StartFailure = serde_json::from_str(&text).ok()?;
        let failure = fail(told.message);
        Some(match told.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }

    pub(super) fn clear_failure(&self) {
        let _ = fs::remove_file(self.directory.join("failure"));
    }

    pub(super) fn open_supervisor_log(&self) -> Result<File> {
        let path = self.directory.join("supervisor.log");
        private_files::create(&path).map_err(|error| private_files::cannot_write(&path, &error))
    }

    /// Writes a file atomically, readable by us only.
    fn write(&self, name: &str, text: &str) -> Result<()> {
        use std::io::Write as _;
        let path = self.directory.join(name);
        let write = || -> std::io::Result<()> {
            // Created with mode 0600, beside the file it replaces.
            let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error| private_files::cannot_write(&path, &error))
    }
}

/// An error passed from the supervisor to the command that started it.
#[derive(Serialize, Deserialize)]
struct StartFailure {
    message: String,
    hint: Option<String>,
}
