//! Runs an existing pgBackRest setup: back up, verify, restore to a point in time. Its repository is managed by pgBackRest.
//!
//! Its output is checked, because `pgbackrest verify` ends with 0 on a corrupt repository and does not detect gaps in the
//! WAL.

pub mod archiving;
pub mod info;
pub mod restore;
pub mod verify;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::{Exit, fail, with_exit};
use crate::event::{Event, Interrupt, Watch};
use crate::finding::Finding;
use crate::pg::embedded::privileges::{self, User};
use crate::pg::program::{Program, ProgramOutput};
use crate::pgbackrest::info::Info;

#[derive(Clone, Debug)]
pub struct Stanza {
    pub name: String,
    /// The configuration file; pgBackRest's own default where none is named.
    pub config: Option<PathBuf>,
    /// The user that pgBackRest runs as if af-db is root: the owner of the cluster's files.
    pub user: Option<User>,
}

impl Stanza {
    /// Names a stanza; as root it is driven as the user of PostgreSQL's servers.
    pub fn new(name: &str, config: Option<&Path>) -> Result<Self> {
        Ok(Stanza {
            name: name.to_owned(),
            config: config.map(Path::to_owned),
            user: privileges::server_user(None)?,
        })
    }

    fn tool(&self) -> Program {
        let mut tool = Program::new("pgbackrest")
            .arg(format!("--stanza={}", self.name))
            .user(self.user.as_ref());
        if let Some(config) = &self.config {
            tool = tool.arg(format!("--config={}", config.display()));
        }
        tool
    }

    async fn run(&self, arguments: &[String], doing: &str) -> Result<ProgramOutput> {
        let done = self.tool().args(arguments).run().await;
        let done = done.map_err(|error| {
            fail(format!("{doing}: {error}")).hint("install pgBackRest, the package pgbackrest")
        })?;
        if done.status.success() {
            return Ok(done);
        }
        // Errors are on either stream, each line with a timestamp.
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &done.stderr;
        Err(fail(format!("{doing}: {}", complaints(&said)))
            .hint("see `pgbackrest check` and its log")
            .into())
    }

    pub async fn info(&self) -> Result<Info> {
        let arguments = ["--output=json".to_owned(), "info".to_owned()];
        let done = self
            .run(&arguments, "reading pgBackRest's repository")
            .await?;
        Info::read(&self.name, &done.stdout)
    }

    /// Makes a backup and returns it.
    pub async fn backup(
        &self,
        kind: &str,
        watch: Watch<'_>,
        interrupt: &Interrupt,
    ) -> Result<info::Backup> {
        let _guard = interrupt.guard();
        watch(Event::Info("pgBackRest is making a backup"));
        let arguments = [format!("--type={kind}"), "backup".to_owned()];
        let doing = "pgBackRest failed to make a backup";
        tokio::select! {
            // Dropped, it is asked to end; what it wrote is resumed or removed by its next run.
            done = self.run(&arguments, doing) => done?,
            () = interrupt.wait() => {
                return Err(with_exit(Exit::Interrupted, "interrupted; no backup was made").into());
            }
        };
        let newest = self.info().await?.backups.pop();
        newest.context("pgBackRest made a backup but does not list it")
    }

    /// Verifies the whole repository; `segments` is the number of WAL segments in a logical file.
    pub async fn verify(&self, segments: u64) -> Result<Vec<Finding>> {
        let arguments = [
            "--output=text".to_owned(),
            "--verbose".to_owned(),
            "verify".to_owned(),
        ];
        let done = self
            .run(&arguments, "pgBackRest could not verify its repository")
            .await?;
        let mut findings = verify::read_report(&String::from_utf8_lossy(&done.stdout));
        let info = self.info().await?;
        for archive in &info.archives {
            let path = format!("archive/{}/{archive}", self.name);
            let arguments = [
                "--recurse".to_owned(),
                "--output=json".to_owned(),
                "repo-ls".to_owned(),
                path,
            ];
            let done = self
                .run_on_repository(&arguments, "listing the WAL in pgBackRest's repository")
                .await?;
            let names = verify::segments(&done.stdout)?;
            let oldest = info
                .backups
                .first()
                .map(|backup| backup.start_segment.as_str());
            findings.extend(verify::missing_segments(
                &names,
                oldest.unwrap_or_default(),
                segments,
            ));
        }
        Ok(findings)
    }

    /// Runs a command that knows no stanza.
    async fn run_on_repository(&self, arguments: &[String], doing: &str) -> Result<ProgramOutput> {
        let mut tool = Program::new("pgbackrest").user(self.user.as_ref());
        if let Some(config) = &self.config {
            tool = tool.arg(format!("--config={}", config.display()));
        }
        tool.args(arguments).run().await?.check(doing)
    }
}

/// Returns pgBackRest's error lines without timestamps and process ids.
fn complaints(said: &str) -> String {
    let mut lines = Vec::new();
    let mut complaining = false;
    for line in said.lines() {
        match line.find("ERROR:") {
            Some(at) => {
                complaining = true;
                lines.push(line[at + "ERROR:".len()..].trim());
            }
            None if complaining && line.starts_with("      ") => lines.push(line.trim()),
            None => complaining = false,
        }
    }
    if lines.is_empty() {
        return said.trim().chars().take(400).collect();
    }
    lines.truncate(8);
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shown_without_timestamps() {
        let said = "2026-11-21 08:24:40.123 P00   INFO: begin\n2026-11-21 08:24:40.124 P00  ERROR: [038]: unable to restore while PostgreSQL is running\n                                    HINT: presence of postmaster.pid indicates it\n2026-11-21 P00   INFO: end\n";
        assert_eq!(
            complaints(said),
            "[038]: unable to restore while PostgreSQL is running; HINT: presence of postmaster.pid indicates it"
        );
    }
}
