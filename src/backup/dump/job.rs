//! Runs `pg_dump` into the store through the dump inspector and cancels it when it makes no progress.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use age::x25519::Recipient;
use anyhow::{Context as _, Result};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::Options;
use crate::archive::{self, ROLES, StoredFile};
use crate::clients::{self, Clients};
use crate::dump_inspector::{DumpInspector, DumpSummary};
use crate::dump_parts;
use crate::error::{Exit, Failure, fail, failure_in_stream_error, with_exit};
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::file_encoding::{self, Writer};
use crate::pg::program::Program;
use crate::snapshot::{DumpedTable, Snapshot};
use crate::sql::name::ObjectName;
use crate::store::Pending;

/// One dump.
pub(super) struct Job<'a> {
    pub(super) options: &'a Options,
    pub(super) clients: &'a Clients,
    pub(super) snapshot: &'a Snapshot,
    /// Whether the dump is in UTF-8 whatever the database is in.
    pub(super) in_utf8: bool,
    /// How many sessions dump at most.
    pub(super) sessions: usize,
    pub(super) recipients: &'a [Recipient],
    pub(super) watch: Watch<'a>,
    pub(super) interrupt: &'a Interrupt,
}

/// How far a part is.
#[derive(Default)]
struct Progress {
    passed: AtomicU64,
    ended: AtomicBool,
}

impl Job<'_> {
    /// Prepares a dump of what this one holds, or of a part of it.
    fn pg_dump(&self) -> Program {
        let encoding = self.in_utf8.then_some("--encoding=UTF8");
        self.clients
            .tool("pg_dump", &self.options.target)
            .args(["--format=custom", "--compress=0", "--no-password"])
            .args(encoding)
            .arg(format!("--snapshot={}", self.snapshot.snapshot))
            .arg(format!(
                "--lock-wait-timeout={}",
                self.options.lock_timeout.as_millis()
            ))
    }

    /// Prepares the dump of everything but the rows of the tables that go elsewhere.
    fn first(&self, elsewhere: &[Vec<&DumpedTable>]) -> Program {
        let mut tool = self.pg_dump();
        let scope = &self.options.scope;
        for schema in &scope.schemas {
            tool = tool.arg(format!("--schema={}", pattern(schema)));
        }
        let tables = scope.tables.iter();
        for table in tables.filter_map(|table| ObjectName::parse(table)) {
            tool = tool.arg(format!("--table={}", full_pattern(&table)));
        }
        let elsewhere = elsewhere.iter().flatten();
        elsewhere.fold(tool, |tool, table| tool.arg(without_rows(&table.name)))
    }

    /// Prepares the dump of the rows of a few tables and of nothing else.
    fn rows(&self, tables: &[&DumpedTable]) -> Program {
        let names: BTreeSet<&ObjectName> = tables.iter().map(|table| &table.name).collect();
        // A table brings its sequences along, but where they stand is for the first part to say.
        let sequences = self.snapshot.tables.iter().filter(|one| {
            let owner = one.owner.as_ref();
            owner.is_some_and(|owner| names.contains(owner))
        });
        let tool = self.pg_dump().arg("--data-only");
        let tool = names.iter().fold(tool, |tool, name| {
            tool.arg(format!("--table={}", full_pattern(name)))
        });
        sequences.fold(tool, |tool, one| tool.arg(without_rows(&one.name)))
    }

    /// Dumps everything, in parallel where it pays off, and returns the summary of each part.
    pub(super) async fn dump(
        &self,
        pending: &Pending,
    ) -> Result<(Vec<DumpSummary>, Vec<StoredFile>)> {
        let tables = &self.snapshot.tables;
        let shares = dump_parts::share(tables, self.sessions);
        let mut tools = vec![self.first(&shares)];
        tools.extend(shares.iter().map(|share| self.rows(share)));
        let progress: Vec<Arc<Progress>> = tools.iter().map(|_| Arc::default()).collect();
        // The first failure cancels the other parts and is the one reported.
        let (halt, failure) = (Interrupt::default(), RefCell::new(None));
        let stop = |error| {
            failure.borrow_mut().get_or_insert(error);
            pending.give_up();
            halt.raise();
        };
        let each = tools.iter().zip(&progress).enumerate();
        let working = each.map(|(number, (tool, progress))| {
            let (halt, stop) = (&halt, &stop);
            async move {
                let part = self.part(number, tool, pending, progress, halt).await;
                part.map_err(stop).ok()
            }
        });
        let mut working = std::pin::pin!(futures_util::future::join_all(working));
        let dumped = tokio::select! {
            dumped = &mut working => dumped,
            stopped = self.supervise(&progress) => {
                stop(stopped);
                // Waits, so that no part is still writing when the incomplete archive is removed.
                working.await
            }
        };
        if let Some(error) = failure.take() {
            return Err(error);
        }
        (self.watch)(Event::Ended);
        let (summary, mut files): (Vec<DumpSummary>, Vec<StoredFile>) =
            dumped.into_iter().flatten().unzip();
        if files.len() > 1 {
            for (file, summary) in files.iter_mut().zip(&summary) {
                file.head = Some(summary.toc.length);
            }
        }
        Ok((summary, files))
    }

    /// Dumps one part until it is complete, failed or halted.
    async fn part(
        &self,
        number: usize,
        tool: &Program,
        pending: &Pending,
        progress: &Arc<Progress>,
        halt: &Interrupt,
    ) -> Result<(DumpSummary, StoredFile)> {
        let name = archive::stored_name(&archive::part(number), !self.recipients.is_empty());
        let writer = Writer::new(pending.create(&name)?, self.recipients)?;
        let mut child = tool.start()?;
        let stdout = child.stdout.take().context("reading pg_dump")?;
        let mut stderr = child.stderr.take().context("reading pg_dump")?;
        let pipe = Pipe::new(stdout.into_owned_fd()?, Arc::clone(progress));
        let mut piping = tokio::task::spawn_blocking(move || pipe.run(writer));
        let mut words = String::new();
        let talk = stderr.read_to_string(&mut words);
        let supervised = async {
            let piped = tokio::select! {
                piped = &mut piping => Some(piped),
                () = halt.wait() => None,
            };
            if piped.is_none() {
                // Its end closes the pipe, which ends the thread that reads it.
                let _ = child.start_kill();
            }
            let status = child.wait().await;
            (piped, status)
        };
        let ((piped, status), _) = tokio::join!(supervised, talk);
        let Some(piped) = piped else {
            let _ = piping.await;
            anyhow::bail!("halted");
        };
        let piped = piped.context("reading pg_dump")?;
        let status = status.context("waiting for pg_dump")?;
        // A store that cannot be written breaks pg_dump's pipe; its error message about that is not the cause.
        let is_ours = matches!(&piped, Err(error) if error.is::<std::io::Error>());
        if !status.success() && !is_ours {
            return Err(in_words(&words, status));
        }
        let (summary, checksum) = piped.map_err(store_trouble)?;
        progress.ended.store(true, Ordering::Relaxed);
        let file = StoredFile {
            name,
            size: checksum.size,
            sha256: checksum.sha256,
            content: summary.bytes,
            head: None,
        };
        Ok((summary, file))
    }

    /// Reports progress until a part makes none for too long or the run is interrupted.
    async fn supervise(&self, parts: &[Arc<Progress>]) -> anyhow::Error {
        let total = self.snapshot.tables.iter().map(|one| one.bytes).sum();
        (self.watch)(Event::Began {
            task: "dumping",
            total: Some(total),
            unit: Unit::Bytes,
        });
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let mut last = vec![(0, Instant::now()); parts.len()];
        let mut told = 0;
        loop {
            tokio::select! {
                () = self.interrupt.wait() => {
                    return with_exit(Exit::Interrupted, "interrupted; no backup was made").into();
                }
                _ = tick.tick() => {}
            }
            let mut now = 0;
            for (part, (passed, since)) in parts.iter().zip(&mut last) {
                let has_passed = part.passed.load(Ordering::Relaxed);
                now += has_passed;
                if has_passed != *passed {
                    (*passed, *since) = (has_passed, Instant::now());
                } else if !part.ended.load(Ordering::Relaxed)
                    && since.elapsed() > self.options.stall_timeout
                {
                    return self.stood_still();
                }
            }
            if now != told {
                told = now;
                (self.watch)(Event::Advanced {
                    done: now.min(total),
                    note: self.options.target.database(),
                });
            }
        }
    }

    fn stood_still(&self) -> anyhow::Error {
        fail(format!(
            "the dump made no progress for {} s and was cancelled; no backup was made",
            self.options.stall_timeout.as_secs()
        ))
        .hint("check the server and the store, or wait longer with --stall-timeout")
        .into()
    }

    /// Refuses a dump that lacks a table it should hold.
    pub(super) fn check_complete(&self, summary: &DumpSummary) -> Result<()> {
        let with_rows = summary
            .toc
            .entries
            .iter()
            .filter(|entry| entry.kind == "TABLE DATA");
        let found: BTreeSet<(&str, &str)> = with_rows
            .map(|entry| (entry.schema.as_str(), entry.tag.as_str()))
            .collect();
        for table in self.snapshot.tables.iter().filter(|one| one.has_rows()) {
            let name = (table.name.schema.as_str(), table.name.name.as_str());
            anyhow::ensure!(
                found.contains(&name),
                "the dump is incomplete: it has no rows of `{}`",
                table.name
            );
        }
        Ok(())
    }

    /// Stores the roles as SQL for restores without af-db; af-db itself reads them from `proof.json`.
    pub(super) async fn roles(&self, pending: &Pending) -> Result<StoredFile> {
        let tool = self
            .clients
            .tool("pg_dumpall", &self.options.target)
            .args(["--roles-only", "--no-role-passwords", "--no-password"])
            .arg(format!(
                "--database={}",
                clients::conninfo(self.options.target.database())
            ));
        let done = tool.run().await?.check("dumping the roles")?;
        self.seal(pending, ROLES, done.stdout)
    }

    pub(super) fn seal(
        &self,
        pending: &Pending,
        stem: &str,
        content: Vec<u8>,
    ) -> Result<StoredFile> {
        let name = archive::stored_name(stem, !self.recipients.is_empty());
        let mut writer = Writer::new(pending.create(&name)?, self.recipients)?;
        writer
            .write_all(&content)
            .map_err(anyhow::Error::from)
            .map_err(store_trouble)?;
        let checksum = writer.complete().map_err(store_trouble)?;
        Ok(StoredFile {
            name,
            size: checksum.size,
            sha256: checksum.sha256,
            content: content.len() as u64,
            head: None,
        })
    }
}

/// Moves a dump from `pg_dump` into the store; runs on a thread of its own, because it computes.
struct Pipe {
    from: std::fs::File,
    progress: Arc<Progress>,
}

impl Pipe {
    /// The pipe's capacity: the largest that Linux grants to unprivileged processes.
    const ROOM: usize = 1 << 20;
    /// How long the pipe is left to fill; less than it takes until it is full and `pg_dump` has to wait.
    const PAUSE: Duration = Duration::from_millis(2);

    fn new(from: OwnedFd, progress: Arc<Progress>) -> Self {
        // Where there is no more room to be had, the room there is must do.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&from, Self::ROOM);
        let from = std::fs::File::from(from);
        Pipe { from, progress }
    }

    fn run(mut self, writer: Writer) -> Result<(DumpSummary, file_encoding::FileChecksum)> {
        let mut tap = DumpInspector::new(writer);
        let mut buffer = vec![0; Self::ROOM];
        loop {
            let read = self.from.read(&mut buffer).context("reading pg_dump")?;
            if read == 0 {
                break;
            }
            tap.write_all(&buffer[..read])?;
            self.progress
                .passed
                .fetch_add(read as u64, Ordering::Relaxed);
            // `pg_dump` writes 4 kB at a time: to be woken for each would cost both programs more than the bytes do.
            if read < Self::ROOM / 4 {
                std::thread::sleep(Self::PAUSE);
            }
        }
        let (writer, summary) = tap.finish()?;
        Ok((summary, writer.complete()?))
    }
}

/// Quotes a name as a pattern of `pg_dump`, in which letters are folded and stars have a meaning unless quoted.
fn pattern(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn full_pattern(name: &ObjectName) -> String {
    format!(
        "{}.{}",
        pattern(name.schema.as_str()),
        pattern(name.name.as_str())
    )
}

fn without_rows(name: &ObjectName) -> String {
    format!("--exclude-table-data={}", full_pattern(name))
}

fn is_full(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        })
}

fn store_trouble(error: anyhow::Error) -> anyhow::Error {
    if is_full(&error) {
        return fail("the store is full; no backup was made")
            .hint("free some space (`af-db backup prune` removes old backups), or use another store with --to")
            .into();
    }
    let error = failure_in_stream_error(error);
    match error.downcast::<Failure>() {
        Ok(mut failure) => {
            failure.message.push_str("; no backup was made");
            failure.into()
        }
        Err(error) => error.context("writing the backup"),
    }
}

fn in_words(words: &str, status: std::process::ExitStatus) -> anyhow::Error {
    let words = words.trim();
    if words.is_empty() {
        return fail(format!(
            "pg_dump ended early ({status}); no backup was made"
        ))
        .hint("pg_dump may have been killed; try again")
        .into();
    }
    fail(format!("pg_dump failed; no backup was made: {words}")).into()
}
