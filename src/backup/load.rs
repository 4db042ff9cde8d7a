//! Loads a dump with `pg_restore`: in parallel, every error fatal, with progress.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::clients::{self, Clients};
use crate::error::fail;
use crate::event::{Event, Unit, Watch};
use crate::pg::program::Program;
use crate::pg::target::Target;
use crate::toc::Entry;

/// What to load where.
pub struct DumpLoad<'a> {
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
    pub no_owner: bool,
    /// What is in the dump.
    pub entries: &'a [Entry],
    pub watch: Watch<'a>,
}

/// Called when a table's rows are committed; with `None` when all are.
pub type OnTableLoaded<'a> = &'a dyn Fn(Option<&Entry>);

impl DumpLoad<'_> {
    /// Loads what rows need before they can come.
    pub async fn schema(&self) -> Result<()> {
        let tool = self.tool().arg("--section=pre-data");
        let total = self.count(false);
        self.began("restoring the schema", total);
        let mut done = 0;
        self.run(tool, &mut |text| {
            if is_work(text) {
                done += 1;
                self.advanced(done, total, text);
            }
        })
        .await?;
        (self.watch)(Event::Ended);
        Ok(())
    }

    /// Loads the rows and builds what stands on them, which may begin with one table while another is still on its way.
    pub async fn rows(&self, came: OnTableLoaded<'_>) -> Result<()> {
        let mut tool = self.tool().args(["--section=data", "--section=post-data"]);
        if self.jobs > 1 {
            tool = tool.arg(format!("--jobs={}", self.jobs));
        }
        // By number, because a dump may have tens of thousands of entries and each reports its end.
        let with_data = self.entries.iter().filter(|entry| entry.has_data);
        let with_data: HashMap<i64, &Entry> = with_data.map(|entry| (entry.id, entry)).collect();
        let (rows, others) = (with_data.len() as u64, self.count(false));
        self.began("restoring rows", rows);
        let (mut finished, mut done, mut all) = (0, 0, false);
        let rest = || {
            (self.watch)(Event::Ended);
            self.began("restoring indexes and constraints", others);
            came(None);
        };
        self.run(tool, &mut |text| {
            if let Some(entry) = finished_item(text).and_then(|id| with_data.get(&id)) {
                finished += 1;
                came(Some(entry));
            }
            // One session does one thing after the other: what stands on rows comes when all of them are in.
            let is_next = self.jobs <= 1 && text.starts_with("creating ");
            if !all && (finished == rows || is_next) {
                (all, done) = (true, 0);
                rest();
            }
            if is_work(text) {
                done += 1;
                let total = if all { others } else { rows };
                self.advanced(done, total, text);
            }
        })
        .await?;
        if !all {
            rest();
        }
        (self.watch)(Event::Ended);
        Ok(())
    }

    fn tool(&self) -> Program {
        let mut tool = self.clients.tool("pg_restore", self.target).args([
            "--format=custom",
            "--exit-on-error",
            "--no-password",
            "--verbose",
        ]);
        tool = tool.arg(format!(
            "--dbname={}",
            clients::conninfo(self.target.database())
        ));
        if let Some(list) = self.list {
            tool = tool.arg(format!("--use-list={}", list.display()));
        }
        if self.no_owner {
            tool = tool.arg("--no-owner");
        }
        tool
    }

    fn count(&self, with_data: bool) -> u64 {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.has_data == with_data).count() as u64
    }

    fn began(&self, task: &'static str, total: u64) {
        (self.watch)(Event::Began {
            task,
            total: Some(total),
            unit: Unit::Items,
        });
    }

    fn advanced(&self, done: u64, total: u64, note: &str) {
        (self.watch)(Event::Advanced {
            done: done.min(total),
            note,
        });
    }

    async fn run(&self, tool: Program, told: &mut dyn FnMut(&str)) -> Result<()> {
        let mut child = tool.arg(self.dump).start()?;
        drop(child.stdin.take());
        let said = child.stderr.take().context("reading pg_restore")?;
        let words = listen(BufReader::new(said), told).await?;
        let status = child.wait().await.context("waiting for pg_restore")?;
        if status.success() {
            return Ok(());
        }
        let message = if words.is_empty() {
            format!("pg_restore ended early ({status})")
        } else {
            format!("pg_restore failed: {}", words.join("\n  "))
        };
        Err(fail(message)
            .hint("nothing was changed; the incomplete new database is removed")
            .into())
    }
}

/// Reports the progress that `pg_restore` prints and collects its errors.
async fn listen(
    mut said: BufReader<tokio::process::ChildStderr>,
    told: &mut dyn FnMut(&str),
) -> Result<Vec<String>> {
    let mut words = Vec::new();
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
            // Lines without the program's name belong to the error before them: the statement, the server's detail.
            None => complaining,
        };
        if complaining && words.len() < 12 {
            words.push(begins.unwrap_or(text).chars().take(400).collect());
        }
        if let Some(doing) = begins {
            told(doing);
        }
    }
}

/// Reads the number of the entry that one of several sessions has finished: `finished item 3456 TABLE DATA orders`.
fn finished_item(text: &str) -> Option<i64> {
    let (id, _) = text.strip_prefix("finished item ")?.split_once(' ')?;
    id.parse().ok()
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
