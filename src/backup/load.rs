//! Owns loading a section of a dump with `pg_restore`: parallel, every error fatal, progress told.

use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::backup::clients::{self, Clients};
use crate::backup::toc::Entry;
use crate::error::fail;
use crate::event::{Event, Unit, Watch};
use crate::pg::target::Target;

/// What to load where.
pub struct Loading<'a> {
    /// The programs.
    pub clients: &'a Clients,
    /// The new database.
    pub target: &'a Target,
    /// The unpacked dump.
    pub dump: &'a Path,
    /// Which entries of it, where not all.
    pub list: Option<&'a Path>,
    /// How many sessions load at once.
    pub jobs: u32,
    /// Whether everything is to belong to whoever restores.
    pub no_owner: bool,
    /// What is in the dump.
    pub entries: &'a [Entry],
    /// Who is told.
    pub watch: Watch<'a>,
}

impl Loading<'_> {
    /// Loads one section: `pre-data`, `data` or `post-data`.
    pub async fn section(&self, section: &str) -> Result<()> {
        let mut tool = self
            .clients
            .tool("pg_restore", self.target)
            .args([
                "--format=custom",
                "--exit-on-error",
                "--no-password",
                "--verbose",
            ])
            .arg(format!("--section={section}"))
            .arg(format!(
                "--dbname={}",
                clients::conninfo(self.target.database())
            ));
        // Many sessions make nothing faster before there are rows, and the order of the archive is the safest.
        if section != "pre-data" && self.jobs > 1 {
            tool = tool.arg(format!("--jobs={}", self.jobs));
        }
        if let Some(list) = self.list {
            tool = tool.arg(format!("--use-list={}", list.display()));
        }
        if self.no_owner {
            tool = tool.arg("--no-owner");
        }
        let task = match section {
            "pre-data" => "restoring the schema",
            "data" => "restoring rows",
            _ => "restoring indexes and constraints",
        };
        let total = self
            .entries
            .iter()
            .filter(|entry| entry.has_data == (section == "data"))
            .count() as u64;
        (self.watch)(Event::Began {
            task,
            total: Some(total),
            unit: Unit::Items,
        });
        let mut child = tool.arg(self.dump).start()?;
        drop(child.stdin.take());
        let said = child.stderr.take().context("reading pg_restore")?;
        let words = self.listen(BufReader::new(said), total).await?;
        let status = child.wait().await.context("waiting for pg_restore")?;
        (self.watch)(Event::Ended);
        if status.success() {
            return Ok(());
        }
        let message = if words.is_empty() {
            format!("pg_restore ended early ({status})")
        } else {
            format!(
                "pg_restore could not restore the archive: {}",
                words.join("\n  ")
            )
        };
        Err(fail(message)
            .hint("nothing was changed; the database that was being made is removed")
            .into())
    }

    /// Counts what `pg_restore` says it does and keeps what it complains about.
    async fn listen(
        &self,
        mut said: BufReader<tokio::process::ChildStderr>,
        total: u64,
    ) -> Result<Vec<String>> {
        let mut words = Vec::new();
        let mut done = 0;
        let mut line = Vec::new();
        let mut complaining = false;
        loop {
            line.clear();
            if said
                .read_until(b'\n', &mut line)
                .await
                .context("reading pg_restore")?
                == 0
            {
                return Ok(words);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let begins = text.strip_prefix("pg_restore: ");
            complaining = match begins {
                Some(text) => {
                    text.starts_with("error:")
                        || text.starts_with("warning:")
                        || text.starts_with("from TOC")
                }
                // What follows a complaint without the program's name belongs to it: the statement, the server's detail.
                None => complaining,
            };
            if complaining && words.len() < 12 {
                words.push(begins.unwrap_or(text).chars().take(400).collect());
            }
            if let Some(doing) = begins.filter(|text| is_work(text)) {
                done += 1;
                (self.watch)(Event::Advanced {
                    done: done.min(total),
                    note: doing,
                });
            }
        }
    }
}

fn is_work(text: &str) -> bool {
    [
        "creating ",
        "processing data for ",
        "executing ",
        "finished item",
    ]
    .iter()
    .any(|verb| text.starts_with(verb))
}
