//! Owns making an archive: hold a moment, let `pg_dump` write it through our tap, describe it last.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use age::x25519::Recipient;
use anyhow::{Context as _, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use crate::backup::archive::{self, Archive, DUMP, PROOF, ROLES, Scope, StoredFile, Tools, Totals};
use crate::backup::clients::{self, Clients, Places};
use crate::backup::facts::{self, DatabaseFacts};
use crate::backup::proof::Proof;
use crate::backup::seal::{self, Writer};
use crate::backup::snapshot::{self, Listed, Moment};
use crate::backup::store::{Pending, Store};
use crate::backup::tap::{Heard, Tap};
use crate::error::{Exit, fail, refuse, with_exit};
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::pg::tools::Tool;

/// What to back up and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database.
    pub target: Target,
    /// What a person calls the archive.
    pub label: Option<String>,
    /// Which part of it.
    pub scope: Scope,
    /// Whom to encrypt for; nobody leaves it readable.
    pub recipients: Vec<String>,
    /// Where the client programs may be.
    pub places: Places,
    /// How long to wait for a migration to end.
    pub wait: Duration,
    /// How long to wait for a table's lock.
    pub lock_timeout: Duration,
    /// How long the dump may stand still before it is given up, so that it does not hold its snapshot for ever.
    pub stall_timeout: Duration,
}

/// Makes an archive in the store.
pub async fn run(
    options: &Options,
    store: &Store,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Archive> {
    let _guard = interrupt.guard();
    let recipients = seal::recipients(&options.recipients)?;
    let started = now();
    let clock = Instant::now();
    let session = connect::open(&options.target, watch).await?;
    pooler::require_session(&session, &options.target).await?;
    let work = async {
        // Held until the session ends: a backup and a migration keep each other out.
        let _lock = lock::take(&session, Share::Together, options.wait, watch).await?;
        let (server, rendering) = facts::server(&session).await?;
        let found = clients::search(&options.places).await?;
        let clients = clients::for_dump(&found, server.version_num / 10_000)?;
        let moment = snapshot::hold(&session, &options.scope, options.lock_timeout).await?;
        let database = facts::database(&session).await?;
        check_space(store, &moment)?;
        let catalog = fingerprint(options, watch).await?;
        let job = Job {
            options,
            clients,
            moment: &moment,
            recipients: &recipients,
            watch,
            interrupt,
        };
        let name = archive_name(options.target.database(), started);
        let pending = store.begin(&name)?;
        let (heard, mut files) = job.dump(&pending).await?;
        job.check_complete(&heard)?;
        files.push(job.roles(&pending).await?);
        let proof = Proof::of(&heard, rendering, database);
        files.push(job.seal(&pending, PROOF, serde_json::to_vec(&proof)?)?);
        let archive = Archive {
            version: 1,
            name,
            label: options.label.clone(),
            database: options.target.database().to_owned(),
            started: rfc3339(started),
            milliseconds: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            tools: Tools {
                af_db: env!("CARGO_PKG_VERSION").to_owned(),
                pg_dump: heard.toc.dump_version.clone(),
            },
            server,
            scope: options.scope.clone(),
            totals: totals(&proof, &heard),
            recipients: options.recipients.clone(),
            history: history(&session).await?,
            catalog,
            not_included: not_included(&moment.tables, &proof.database),
            files,
        };
        pending.commit(&archive.to_json()?)?;
        Ok(archive)
    };
    let archive = work.await;
    session.close().await;
    archive
}

/// Gives the moment by the machine's clock.
fn now() -> DateTime<Utc> {
    Utc::now()
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Names an archive: the database, in letters that every store takes, and the time.
pub fn archive_name(database: &str, started: DateTime<Utc>) -> String {
    let plain: String = database
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || "._-".contains(letter) {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let plain = plain.trim_start_matches('.');
    format!("{plain}-{}", started.format("%Y%m%dT%H%M%SZ"))
}

/// Refuses to start where even a well compressed archive cannot fit.
fn check_space(store: &Store, moment: &Moment) -> Result<()> {
    let bytes: u64 = moment.tables.iter().map(|one| one.bytes).sum();
    // Text of a dump compresses to a quarter or less of its tables; what is in doubt is left to the disk to say.
    let least = bytes / 8;
    match store.free() {
        Some(free) if free < least => Err(refuse(format!(
            "{} has {} MB free, the archive needs at least {} MB",
            store.shown(),
            free >> 20,
            least >> 20
        ))
        .hint("free some space, `af-db backup prune` removes old archives, or name another store with --to")
        .into()),
        _ => Ok(()),
    }
}

struct Job<'a> {
    options: &'a Options,
    clients: &'a Clients,
    moment: &'a Moment,
    recipients: &'a [Recipient],
    watch: Watch<'a>,
    interrupt: &'a Interrupt,
}

impl Job<'_> {
    fn pg_dump(&self) -> Tool {
        let mut tool = self
            .clients
            .tool("pg_dump", &self.options.target)
            .args(["--format=custom", "--compress=0", "--no-password"])
            .arg(format!("--snapshot={}", self.moment.snapshot))
            .arg(format!(
                "--lock-wait-timeout={}",
                self.options.lock_timeout.as_millis()
            ));
        let scope = &self.options.scope;
        for schema in &scope.schemas {
            tool = tool.arg(format!("--schema={}", pattern(schema)));
        }
        for table in &scope.tables {
            let (schema, name) = table.split_once('.').unwrap_or(("public", table));
            tool = tool.arg(format!("--table={}.{}", pattern(schema), pattern(name)));
        }
        tool
    }

    async fn dump(&self, pending: &Pending) -> Result<(Heard, Vec<StoredFile>)> {
        let name = archive::stored_name(DUMP, !self.recipients.is_empty());
        let writer = Writer::new(pending.create(&name)?, self.recipients)?;
        let mut child = self.pg_dump().start()?;
        let stdout = child.stdout.take().context("reading pg_dump")?;
        let mut stderr = child.stderr.take().context("reading pg_dump")?;
        let passed = Arc::new(AtomicU64::new(0));
        let pipe = Pipe {
            from: std::fs::File::from(stdout.into_owned_fd()?),
            passed: Arc::clone(&passed),
        };
        let mut piping = tokio::task::spawn_blocking(move || pipe.run(writer));
        let mut words = String::new();
        let talk = stderr.read_to_string(&mut words);
        let supervised = async {
            let outcome = tokio::select! {
                piped = &mut piping => Ok(piped),
                stopped = self.supervise(&passed) => Err(stopped),
            };
            if outcome.is_err() {
                // Its end closes the pipe, which ends the thread that reads it.
                let _ = child.start_kill();
            }
            let status = child.wait().await;
            (outcome, status)
        };
        let ((outcome, status), _) = tokio::join!(supervised, talk);
        let piped = match outcome {
            Ok(piped) => piped.context("reading pg_dump")?,
            Err(stopped) => {
                // Waits, so that nothing is still writing when the remains are removed.
                let _ = piping.await;
                return Err(stopped);
            }
        };
        (self.watch)(Event::Ended);
        let status = status.context("waiting for pg_dump")?;
        // A store that cannot be written breaks pg_dump's pipe; its complaint about that is not the cause.
        let is_ours = matches!(&piped, Err(error) if error.is::<std::io::Error>());
        if !status.success() && !is_ours {
            return Err(in_words(&words, status));
        }
        let (heard, sealed) = piped.map_err(store_trouble)?;
        let file = StoredFile {
            name,
            size: sealed.size,
            sha256: sealed.sha256,
            content: heard.bytes,
        };
        Ok((heard, vec![file]))
    }

    /// Tells how far the dump is until it stands still for too long or somebody wants to stop.
    async fn supervise(&self, passed: &AtomicU64) -> anyhow::Error {
        let total = self.moment.tables.iter().map(|one| one.bytes).sum();
        (self.watch)(Event::Began {
            task: "dumping",
            total: Some(total),
            unit: Unit::Bytes,
        });
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let (mut last, mut since) = (0, Instant::now());
        loop {
            tokio::select! {
                () = self.interrupt.wait() => {
                    return with_exit(Exit::Interrupted, "interrupted, no archive was made").into();
                }
                _ = tick.tick() => {}
            }
            let now = passed.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
                (self.watch)(Event::Advanced {
                    done: now.min(total),
                    note: self.options.target.database(),
                });
            } else if since.elapsed() > self.options.stall_timeout {
                return fail(format!(
                    "the dump stood still for {} s and was given up, no archive was made",
                    self.options.stall_timeout.as_secs()
                ))
                .hint("look at the server and at the store; --stall-timeout sets how long to wait")
                .into();
            }
        }
    }

    /// Refuses a dump that lacks a table it should hold.
    fn check_complete(&self, heard: &Heard) -> Result<()> {
        let with_rows = heard
            .toc
            .entries
            .iter()
            .filter(|entry| entry.kind == "TABLE DATA");
        let found: BTreeSet<(&str, &str)> = with_rows
            .map(|entry| (entry.schema.as_str(), entry.tag.as_str()))
            .collect();
        for table in self.moment.tables.iter().filter(|one| one.has_rows()) {
            let name = (table.name.schema.as_str(), table.name.name.as_str());
            anyhow::ensure!(
                found.contains(&name),
                "the dump holds no rows of `{}`, so it is not whole",
                table.name
            );
        }
        Ok(())
    }

    /// Stores the roles as SQL; a restore takes them from the proof, a person without us from here.
    async fn roles(&self, pending: &Pending) -> Result<StoredFile> {
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

    fn seal(&self, pending: &Pending, stem: &str, content: Vec<u8>) -> Result<StoredFile> {
        let name = archive::stored_name(stem, !self.recipients.is_empty());
        let mut writer = Writer::new(pending.create(&name)?, self.recipients)?;
        writer
            .write_all(&content)
            .map_err(anyhow::Error::from)
            .map_err(store_trouble)?;
        let sealed = writer.complete().map_err(store_trouble)?;
        Ok(StoredFile {
            name,
            size: sealed.size,
            sha256: sealed.sha256,
            content: content.len() as u64,
        })
    }
}

/// Moves a dump from `pg_dump` into the store; runs on a thread of its own, because it computes.
struct Pipe {
    from: std::fs::File,
    passed: Arc<AtomicU64>,
}

impl Pipe {
    fn run(mut self, writer: Writer) -> Result<(Heard, seal::Sealed)> {
        let mut tap = Tap::new(writer);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = self.from.read(&mut buffer).context("reading pg_dump")?;
            if read == 0 {
                break;
            }
            tap.write_all(&buffer[..read])?;
            self.passed.fetch_add(read as u64, Ordering::Relaxed);
        }
        let (writer, heard) = tap.finish()?;
        Ok((heard, writer.complete()?))
    }
}

/// Quotes a name as a pattern of `pg_dump`, in which letters are folded and stars have a meaning unless quoted.
fn pattern(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
        return fail("the store is full, no archive was made")
            .hint("free some space, `af-db backup prune` removes old archives, or name another store with --to")
            .into();
    }
    error.context("writing the archive")
}

fn in_words(words: &str, status: std::process::ExitStatus) -> anyhow::Error {
    let words = words.trim();
    if words.is_empty() {
        return fail(format!(
            "pg_dump ended early ({status}), no archive was made"
        ))
        .hint("somebody or the system may have killed it; try again")
        .into();
    }
    fail(format!(
        "pg_dump could not dump the database, no archive was made: {words}"
    ))
    .into()
}

fn totals(proof: &Proof, heard: &Heard) -> Totals {
    Totals {
        tables: proof.tables.len() as u64,
        rows: proof.rows(),
        large_objects: proof.large_objects.rows,
        dump_bytes: heard.bytes,
        database_bytes: proof.database.bytes,
    }
}

/// Reads the schema's fingerprint beside the held moment: its tables cannot change now. A part of a database has none.
async fn fingerprint(options: &Options, watch: Watch<'_>) -> Result<Option<String>> {
    if !options.scope.is_whole() {
        return Ok(None);
    }
    let session = connect::open(&options.target, watch).await?;
    let fingerprint = facts::fingerprint(&session).await?;
    session.close().await;
    Ok(Some(fingerprint))
}

/// Gives the highest version in the history of migrations, where there is one.
async fn history(session: &Session) -> Result<Option<String>> {
    let there = "SELECT pg_catalog.to_regclass('public.refinery_schema_history') IS NOT NULL";
    if !session.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let highest =
        "SELECT pg_catalog.max(version)::pg_catalog.text FROM public.refinery_schema_history";
    Ok(session.query_one(highest, &[]).await?.get(0))
}

/// Says what a person might expect in the archive and will not find.
fn not_included(tables: &[Listed], database: &DatabaseFacts) -> Vec<String> {
    let mut lines = Vec::new();
    if !database.roles.is_empty() {
        lines.push("passwords of roles".to_owned());
    }
    for table in tables {
        if table.kind == 'f' {
            lines.push(format!("the rows behind the foreign table {}", table.name));
        }
    }
    for extension in &database.extensions {
        if matches!(extension.name.as_str(), "pgsodium" | "supabase_vault") {
            lines.push(format!(
                "the root key of {}, without which its secrets cannot be read",
                extension.name
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_in_letters_every_store_takes() {
        let time = DateTime::from_timestamp(1_767_323_045, 0).unwrap();
        assert_eq!(archive_name("shop", time), "shop-20260102T030405Z");
        assert_eq!(
            archive_name("../Ä \"x", time),
            "____x-20260102T030405Z".replacen("____", "_____", 0)
        );
    }
}
