//! Makes an archive: takes a snapshot, runs `pg_dump` through the inspector and writes the description last.

mod job;

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::archive::{self, Archive, PROOF, Scope, Tools, Totals};
use crate::clients::{self, ClientSearchPath};
use crate::dump_inspector::DumpSummary;
use crate::dump_parts;
use crate::error::refuse;
use crate::event::{Interrupt, Watch};
use crate::file_encoding;
use crate::identity::Lineages;
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::proof::{Proof, TableProof};
use crate::properties;
use crate::snapshot::{self, DumpedTable, Snapshot};
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;
use crate::store::Store;
use crate::unpack;
use job::Job;

/// What to back up and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub target: Target,
    /// What a person calls the archive.
    pub label: Option<String>,
    /// Which part of it.
    pub scope: Scope,
    /// The table that migrations are recorded in, where there is one.
    pub history: ObjectName,
    /// The age recipients; without any, the archive is not encrypted.
    pub recipients: Vec<String>,
    /// Where the client programs may be.
    pub places: ClientSearchPath,
    /// Parallel dump connections; by the size of the database if absent.
    pub jobs: Option<u32>,
    /// How long to wait for a migration to end.
    pub wait: Duration,
    /// How long to wait for a table's lock.
    pub lock_timeout: Duration,
    /// How long a dump may make no progress before it is cancelled, so that its snapshot is not held forever.
    pub stall_timeout: Duration,
    /// Whether an upload is read back before the archive is committed; otherwise reported sizes are trusted.
    pub read_back: bool,
}

/// Makes an archive in the store.
pub async fn run(
    options: &Options,
    store: &Store,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Archive> {
    let _guard = interrupt.guard();
    let recipients = file_encoding::recipients(&options.recipients)?;
    let started = now();
    let clock = Instant::now();
    let session = connect::open(&options.target, watch).await?;
    pooler::require_session(&session, &options.target).await?;
    let work = async {
        // Held until the session ends: a backup and a migration keep each other out.
        let _lock = lock::take(&session, Share::Together, options.wait, watch).await?;
        let (server, rendering) = properties::server(&session).await?;
        let found = clients::search(&options.places).await?;
        let clients = clients::for_dump(&found, server.version_num / 10_000)?;
        let wide = Options {
            scope: snapshot::widen(&session, &options.scope).await?,
            ..options.clone()
        };
        let snapshot = snapshot::take(&session, &wide.scope, options.lock_timeout).await?;
        let database = properties::database(&session).await?;
        check_space(store, &snapshot)?;
        let catalog = fingerprint(options, watch).await?;
        let job = Job {
            options: &wide,
            clients,
            sessions: sessions(options, &session, &snapshot).await?,
            snapshot: &snapshot,
            in_utf8: names_need_utf8(&snapshot, &wide.scope, &database.encoding),
            recipients: &recipients,
            watch,
            interrupt,
        };
        let name = archive_name(options.target.database(), started);
        let bytes = snapshot.tables.iter().map(|one| one.bytes).sum();
        let pending = store.begin(&name, bytes)?;
        let (parts, mut files) = job.dump(&pending).await?;
        let summary = dump_parts::join(&parts)?.summary;
        job.check_complete(&summary)?;
        files.push(job.roles(&pending).await?);
        let proof = Proof::of(&summary, rendering, database);
        files.push(job.seal(&pending, PROOF, serde_json::to_vec(&proof)?)?);
        let mut archive = Archive {
            version: archive::version_of(&files),
            name,
            label: options.label.clone(),
            database: options.target.database().to_owned(),
            started: rfc3339(started),
            milliseconds: 0,
            tools: Tools {
                af_db: env!("CARGO_PKG_VERSION").to_owned(),
                pg_dump: summary.toc.dump_version.clone(),
            },
            succeeds: succeeds(store, &server)?,
            server,
            scope: options.scope.clone(),
            totals: totals(&proof, &summary),
            recipients: options.recipients.clone(),
            history: history(&session, &options.history).await?,
            catalog,
            not_included: not_included(&snapshot.tables, &proof),
            files,
        };
        // Whatever the store takes from here on, nothing on the server waits for it.
        session.run(&Sql::new("ROLLBACK")).await?;
        if store.is_remote() {
            let read = options.read_back;
            unpack::check_stored(store, &archive, read, watch, interrupt).await?;
        }
        archive.milliseconds = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        pending.commit(&archive.to_json()?)?;
        Ok(archive)
    };
    let archive = work.await;
    session.close().await;
    archive
}

/// Returns the oids of the databases that the dumped one replaced, as recorded in the store.
fn succeeds(store: &Store, server: &archive::Server) -> Result<Vec<u32>> {
    let (Some(cluster), Some(oid)) = (&server.system_identifier, server.database_oid) else {
        return Ok(Vec::new());
    };
    let mut oids = Lineages::read(store, [])?.oids(cluster, oid);
    oids.remove(&oid);
    Ok(oids.into_iter().collect())
}

/// Returns whether the dump must be in UTF-8 for its names to be readable.
///
/// Otherwise it keeps the database's encoding, because not every byte sequence can be converted.
fn names_need_utf8(snapshot: &Snapshot, scope: &Scope, encoding: &str) -> bool {
    let tables = snapshot.tables.iter().map(|one| &one.name);
    let mut names = tables
        .flat_map(|name| [name.schema.as_str(), name.name.as_str()])
        .chain(scope.schemas.iter().map(String::as_str));
    // Where the encoding is not known, nothing can be turned into another.
    !matches!(encoding, "UTF8" | "SQL_ASCII") && !names.all(str::is_ascii)
}

async fn sessions(options: &Options, session: &Session, snapshot: &Snapshot) -> Result<usize> {
    let free = snapshot::free_sessions(session).await?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let worth = || dump_parts::sessions(&snapshot.tables, processors, free);
    Ok(options.jobs.map_or_else(worth, |jobs| jobs as usize))
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
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
    // A name must not look like a flag or a hidden file, and must not be empty.
    let shown = plain.trim_start_matches(['.', '-']);
    let guard = if shown == plain && !plain.is_empty() {
        ""
    } else {
        "_"
    };
    format!("{guard}{shown}-{}", started.format("%Y%m%dT%H%M%SZ"))
}

/// Refuses to start where even a well compressed archive cannot fit.
fn check_space(store: &Store, snapshot: &Snapshot) -> Result<()> {
    let bytes: u64 = snapshot.tables.iter().map(|one| one.bytes).sum();
    // Rows that repeat themselves compress to a thirtieth of their tables; what is in doubt is left to the disk to say.
    let least = bytes / 32;
    match store.free() {
        Some(free) if free < least => Err(refuse(format!(
            "{} has {} MB free; the backup needs at least {} MB",
            store.shown(),
            free >> 20,
            least.div_ceil(1 << 20)
        ))
        .hint("free some space (`af-db backup prune` removes old backups), or use another store with --to")
        .into()),
        _ => Ok(()),
    }
}

fn totals(proof: &Proof, summary: &DumpSummary) -> Totals {
    Totals {
        tables: proof.tables.len() as u64,
        rows: proof.rows(),
        large_objects: proof.large_objects.rows,
        dump_bytes: summary.bytes,
        database_bytes: proof.database.bytes,
    }
}

/// Reads the schema's fingerprint beside the held moment: its tables cannot change now. A part of a database has none.
async fn fingerprint(options: &Options, watch: Watch<'_>) -> Result<Option<String>> {
    if !options.scope.is_whole() {
        return Ok(None);
    }
    let session = connect::open(&options.target, watch).await?;
    let fingerprint = properties::fingerprint(&session).await?;
    session.close().await;
    Ok(Some(fingerprint))
}

pub(super) async fn history(session: &Session, table: &ObjectName) -> Result<Option<String>> {
    let there = session
        .query_one(
            "SELECT pg_catalog.to_regclass($1) IS NOT NULL",
            &[(&table.to_string(), Type::TEXT)],
        )
        .await?;
    if !there.get::<_, bool>(0) {
        return Ok(None);
    }
    let highest = Sql::fill(
        "SELECT pg_catalog.max(version)::pg_catalog.text FROM {}",
        &[table],
    );
    let rows = session.query_sql(&highest, &[]).await?;
    Ok(rows.first().and_then(|row| row.get(0)))
}

/// Lists what a user may expect in the archive but it does not contain.
fn not_included(tables: &[DumpedTable], proof: &Proof) -> Vec<String> {
    let database = &proof.database;
    let mut lines = Vec::new();
    if !database.roles.is_empty() {
        lines.push("role passwords".to_owned());
    }
    for table in tables {
        if table.kind == 'f' {
            lines.push(format!("rows of foreign table {}", table.name));
        }
    }
    for extension in &database.extensions {
        if matches!(extension.name.as_str(), "pgsodium" | "supabase_vault") {
            lines.push(format!(
                "the root key of {}, needed to decrypt its secrets",
                extension.name
            ));
        }
    }
    let is_supabase = database
        .roles
        .iter()
        .any(|role| role.name == "supabase_auth_admin");
    if is_supabase {
        lines.extend(beside_supabase(proof));
    }
    lines
}

/// Lists what a Supabase project keeps outside of its database.
fn beside_supabase(proof: &Proof) -> Vec<String> {
    let is_objects = |table: &&TableProof| {
        (table.schema.as_str(), table.name.as_str()) == ("storage", "objects")
    };
    let objects = proof.tables.iter().find(is_objects);
    let mut lines = Vec::new();
    if let Some(rows) = objects.map(|table| table.sum.rows).filter(|rows| *rows > 0) {
        lines.push(format!(
            "the contents of {rows} storage objects (the database holds only their names)"
        ));
    }
    lines.push("edge functions and their secrets".to_owned());
    lines.push("project settings: sign-in providers, the JWT secret, API keys".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_names_are_portable() {
        let time = DateTime::from_timestamp(1_767_323_045, 0).unwrap();
        assert_eq!(archive_name("shop", time), "shop-20260102T030405Z");
        assert_eq!(archive_name("../Ä \"x", time), "_____x-20260102T030405Z");
        for (name, archive) in [
            ("-x", "_x"),
            ("--help", "_help"),
            ("..", "_"),
            ("-", "_"),
            ("a-b", "a-b"),
        ] {
            assert_eq!(
                archive_name(name, time),
                format!("{archive}-20260102T030405Z")
            );
            assert!(archive::is_archive_name(&archive_name(name, time)));
        }
    }
}
