//! Runs the script that `pg_restore` writes with `psql` in one transaction, committed only if the script is complete.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinHandle;

use crate::clients::{self, Clients};
use crate::error::fail;
use crate::event::{Event, Unit, Watch};
use crate::pg::program::Program;
use crate::restore::Options;
use crate::sql::safe::Sql;
use crate::unpack::Unpacked;

pub(super) struct PsqlScript<'a> {
    restore: Program,
    dump: PathBuf,
    watch: Watch<'a>,
    passed: u64,
    psql: Child,
    into: Option<ChildStdin>,
    /// Reads the output of `psql`, which would otherwise block; ends with it.
    said: JoinHandle<String>,
}

impl<'a> PsqlScript<'a> {
    pub(super) fn start(
        options: &Options,
        unpacked: &Unpacked,
        watch: Watch<'a>,
        clients: &Clients,
        list: Option<&Path>,
    ) -> Result<PsqlScript<'a>> {
        let target = &options.target;
        let mut restore = clients
            .tool("pg_restore", target)
            .args(["--format=custom", "--file=-"]);
        if let Some(list) = list {
            restore = restore.arg(format!("--use-list={}", list.display()));
        }
        if options.no_owner {
            restore = restore.arg("--no-owner");
        }
        let mut psql = clients
            .tool("psql", target)
            .args(["--no-psqlrc", "--quiet", "--no-password"])
            .args(["--output=/dev/null", "--set=ON_ERROR_STOP=1"])
            .arg(format!("--dbname={}", clients::conninfo(target.database())))
            .start()?;
        let into = psql.stdin.take();
        let mut stderr = psql.stderr.take().context("reading psql")?;
        let mut stdout = psql.stdout.take().context("reading psql")?;
        let said = tokio::spawn(async move {
            let (mut words, mut rest) = (String::new(), Vec::new());
            let _ = tokio::join!(
                stderr.read_to_string(&mut words),
                stdout.read_to_end(&mut rest)
            );
            words
        });
        watch(Event::Began {
            task: "restoring into the platform",
            total: Some(unpacked.contents.summary.bytes),
            unit: Unit::Bytes,
        });
        Ok(PsqlScript {
            restore,
            dump: unpacked.path().to_owned(),
            watch,
            passed: 0,
            psql,
            into,
            said,
        })
    }

    /// Sends a statement of our own.
    pub(super) async fn say(&mut self, sql: &Sql) {
        self.write(sql.as_str().as_bytes()).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        if let Some(into) = &mut self.into
            && into.write_all(bytes).await.is_err()
        {
            // `psql` stopped reading; its error is reported at the end.
            self.into = None;
        }
    }

    /// Sends a section of the archive.
    pub(super) async fn section(&mut self, section: &str) -> Result<()> {
        let tool = self.restore.clone().arg(format!("--section={section}"));
        let mut child = tool.arg(&self.dump).start()?;
        drop(child.stdin.take());
        let mut stdout = child.stdout.take().context("reading pg_restore")?;
        let mut stderr = child.stderr.take().context("reading pg_restore")?;
        let mut words = String::new();
        let talk = stderr.read_to_string(&mut words);
        let pass = async {
            let mut buffer = vec![0; 128 << 10];
            loop {
                let read = stdout.read(&mut buffer).await?;
                if read == 0 || self.into.is_none() {
                    return std::io::Result::Ok(());
                }
                self.write(&buffer[..read]).await;
                self.passed += read as u64;
                (self.watch)(Event::Advanced {
                    done: self.passed,
                    note: section,
                });
            }
        };
        let (passed, _) = tokio::join!(pass, async {
            let _ = talk.await;
        });
        passed.context("reading pg_restore")?;
        drop(stdout);
        let status = child.wait().await.context("waiting for pg_restore")?;
        if status.success() || self.into.is_none() {
            return Ok(());
        }
        // Without the final COMMIT nothing is committed.
        Err(refused("pg_restore cannot read the backup", &words))
    }

    /// Ends the script; whatever was not committed is rolled back by the server.
    pub(super) async fn finish(mut self) -> Result<()> {
        let was_whole = self.into.is_some();
        self.into = None;
        let status = self.psql.wait().await.context("waiting for psql")?;
        let words = self.said.await.context("reading psql")?;
        (self.watch)(Event::Ended);
        if status.success() && was_whole {
            return Ok(());
        }
        Err(refused("the backup could not be loaded", &words))
    }
}

fn refused(what: &str, words: &str) -> anyhow::Error {
    let words: Vec<&str> = words.trim().lines().take(12).collect();
    fail(format!("{what}: {}", words.join("\n  ")))
        .hint("nothing was changed: the transaction was rolled back")
        .into()
}
