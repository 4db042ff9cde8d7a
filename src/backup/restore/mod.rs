//! Owns putting an archive back: into a database of its own, proven there, and only then in anybody's place.
//!
//! Whatever goes wrong before the last step, every database that was there is as it was and what was made is removed.

mod build;

use std::path::PathBuf;
use std::time::Duration;

use age::x25519::Identity;
use anyhow::Result;
use chrono::Utc;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::backup::clients::{self, Clients, Places};
use crate::backup::facts;
use crate::backup::mapping::Mapping;
use crate::backup::store::Store;
use crate::backup::surroundings;
use crate::backup::swap::{self, Swap};
use crate::backup::unpack::{self, Source, Unpacked};
use crate::error::{Exit, fail, refuse, with_exit};
use crate::event::{Interrupt, Watch, silent};
use crate::finding::{Finding, Severity, worst};
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// What may stand where the archive is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing, or an empty database.
    New,
    /// A database that is kept under another name.
    Swap,
}

/// What to restore and how.
#[derive(Clone)]
pub struct Options {
    /// The server; the database named in it is where the archive goes.
    pub target: Target,
    /// What may stand there.
    pub place: Place,
    /// Keys that may open the archive.
    pub identities: Vec<Identity>,
    /// Where the client programs may be.
    pub places: Places,
    /// Where the dump is unpacked.
    pub scratch: PathBuf,
    /// How many sessions load at once.
    pub jobs: u32,
    /// Whether everything is to belong to whoever restores.
    pub no_owner: bool,
    /// Which roles of the server take the place of which of the archive.
    pub mapping: Mapping,
}

/// How long each part took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Times {
    /// Checking and unpacking the archive.
    pub check: u64,
    /// Tables, types and functions.
    pub schema: u64,
    /// Rows.
    pub data: u64,
    /// Indexes, constraints, triggers and policies.
    pub indexes: u64,
    /// Statistics.
    pub analyze: u64,
    /// Proving that all of it is there.
    pub prove: u64,
    /// Changing places.
    pub swap: u64,
    /// All of it.
    pub total: u64,
}

/// What came of a restore.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The archive.
    pub archive: crate::backup::archive::Archive,
    /// The database it is in now; absent when it did not prove equal and was removed.
    pub database: Option<String>,
    /// The name the old database keeps, where there was one.
    pub kept_as: Option<String>,
    /// How it differs from the archive.
    pub findings: Vec<Finding>,
    /// How long it took, in milliseconds.
    pub times: Times,
}

/// Restores an archive.
pub async fn run(
    options: &Options,
    store: &Store,
    name: &str,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Restored> {
    let _guard = interrupt.guard();
    let clock = Instant::now();
    let mut times = Times::default();
    let source = Source {
        store,
        name,
        identities: &options.identities,
    };
    let unpacked = unpack::unpack(
        &source,
        &options.scratch,
        &options.mapping,
        watch,
        interrupt,
    )
    .await?;
    times.check = milliseconds(clock);
    let admin = maintenance(&options.target, watch).await?;
    let plan = prepare(options, &admin, &unpacked).await?;
    let building = build::Building {
        options,
        unpacked: &unpacked,
        plan: &plan,
        watch,
        interrupt,
    };
    let built = tokio::select! {
        built = building.build(&admin.session, &mut times) => built,
        () = interrupt.wait() => Err(with_exit(Exit::Interrupted, "interrupted, nothing was changed").into()),
    };
    let is_equal = matches!(&built, Ok(findings) if worst(findings) != Some(Severity::Error));
    if !is_equal {
        discard(&admin.target, &plan.building).await;
    }
    let findings = built?;
    let mut restored = Restored {
        archive: unpacked.archive.clone(),
        database: None,
        kept_as: None,
        findings,
        times,
    };
    if is_equal {
        let clock = Instant::now();
        let moved = take_place(&admin, &plan).await;
        if moved.is_err() {
            discard(&admin.target, &plan.building).await;
        }
        restored.kept_as = moved?;
        restored.times.swap = milliseconds(clock);
        restored.database = Some(plan.name.clone());
    }
    restored.times.total = milliseconds(clock);
    admin.session.close().await;
    Ok(restored)
}

pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A session on the same server but on another database than the one to be replaced.
struct Admin {
    session: Session,
    target: Target,
}

async fn maintenance(target: &Target, watch: Watch<'_>) -> Result<Admin> {
    let mut last = None;
    for database in ["postgres", "template1"] {
        if database == target.database() {
            continue;
        }
        let target = target.with_database(database);
        match connect::open(&target, watch).await {
            Ok(session) => return Ok(Admin { session, target }),
            Err(error) => last = Some(error),
        }
    }
    Err(last
        .unwrap_or_else(|| anyhow::anyhow!("there is no other database"))
        .context("connecting to the database `postgres`, from which databases are made"))
}

/// What will be made under which name.
struct Plan {
    clients: Clients,
    major: u32,
    /// The name the archive is to have in the end.
    name: String,
    /// The name it has until it is proven.
    building: String,
    /// The name of what stands there now, once it made room.
    kept_as: Option<String>,
    /// Whether what stands there is empty and need not be kept.
    is_empty: bool,
    /// How many may connect once it is finished.
    connection_limit: i64,
}

async fn prepare(options: &Options, admin: &Admin, unpacked: &Unpacked) -> Result<Plan> {
    let session = &admin.session;
    let name = options.target.database().to_owned();
    let (server, _) = facts::server(session).await?;
    let (major, theirs) = (server.version_num / 10_000, unpacked.archive.major());
    if theirs > major {
        return Err(refuse(format!(
            "the archive is of PostgreSQL {theirs}, this server is {major}; nothing was restored"
        ))
        .hint(format!(
            "restore into a server of version {theirs} or newer"
        ))
        .into());
    }
    check_rights(session).await?;
    check_mapping(session, &options.mapping).await?;
    let found = clients::search(&options.places).await?;
    let dump_major = clients::for_dump_version(&unpacked.archive.tools.pg_dump)?;
    let clients = clients::for_restore(&found, major, dump_major)?.clone();
    let there = session
        .query(
            "SELECT FROM pg_catalog.pg_database AS d WHERE d.datname = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    let exists = !there.is_empty();
    let is_empty = exists && is_empty(&options.target).await?;
    if exists && !is_empty && options.place == Place::New {
        return Err(refuse(format!(
            "the database `{name}` is not empty, nothing was restored"
        ))
        .hint("name another with --into, or take its place with --swap; the old one is kept")
        .into());
    }
    let stamp = stamp();
    sweep(session).await?;
    Ok(Plan {
        clients,
        major,
        building: suffixed(&name, &format!("_restoring_{stamp}")),
        kept_as: exists.then(|| suffixed(&name, &format!("_before_{stamp}"))),
        name,
        is_empty,
        connection_limit: unpacked.contents.proof.database.connection_limit,
    })
}

fn stamp() -> String {
    Utc::now()
        .format("%Y%m%dT%H%M%S")
        .to_string()
        .to_lowercase()
}

/// Appends to a name, which PostgreSQL would cut at 63 bytes.
pub(super) fn suffixed(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(63 - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &name[..end])
}

async fn check_rights(session: &Session) -> Result<()> {
    let row = session
        .query_one(
            "SELECT r.rolsuper OR r.rolcreatedb FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    if row.get(0) {
        return Ok(());
    }
    Err(
        refuse("this role may not make databases, nothing was restored")
            .hint("restore as a superuser, or ALTER ROLE … CREATEDB")
            .into(),
    )
}

async fn check_mapping(session: &Session, mapping: &Mapping) -> Result<()> {
    if mapping.is_empty() {
        return Ok(());
    }
    let there = surroundings::roles(session).await?;
    match mapping.absent(&there).first() {
        None => Ok(()),
        Some(role) => Err(refuse(format!(
            "the server has no role `{role}` to map to, nothing was restored"
        ))
        .hint("make it first, or leave the mapping out: missing roles are made")
        .into()),
    }
}

async fn is_empty(target: &Target) -> Result<bool> {
    let session = connect::open(target, &silent).await?;
    let row = session
        .query_one(include_str!("../queries/is_empty.sql"), &[])
        .await?;
    session.close().await;
    Ok(row.get(0))
}

/// What marks a database as not finished, beside its name: a limit of connections that nobody sets, there from its creation on
/// until the very transaction that gives it its name.
const MARK: i64 = 32_101;

/// What every restore on a server holds while it works, and the one that sweeps alone.
const WORKING: i64 = 0x6166_6462_7265_7374;

/// Removes what killed restores left: databases with our mark, while no other restore is working.
async fn sweep(session: &Session) -> Result<()> {
    let key = [(
        &WORKING as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::INT8,
    )];
    let alone = session
        .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &key)
        .await?;
    if alone.get(0) {
        let left = session
            .query(
                include_str!("../queries/remains.sql"),
                &[(&MARK, Type::INT8)],
            )
            .await?;
        for row in left {
            let name: String = row.get(0);
            // Somebody else's, or in use after all: it stays, and does no harm.
            let _ = session
                .run(&Sql::fill(
                    "DROP DATABASE IF EXISTS {}",
                    &[&Ident::new(name)],
                ))
                .await;
        }
        session
            .query_one("SELECT pg_catalog.pg_advisory_unlock($1)", &key)
            .await?;
    }
    // Held until the session ends: what is being made must not be taken for remains.
    session
        .query_one("SELECT pg_catalog.pg_advisory_lock_shared($1)", &key)
        .await?;
    Ok(())
}

/// Removes a database; what cannot be removed now bears our mark, and the next restore sweeps it.
async fn discard(target: &Target, name: &str) {
    // A line that was just cut, or a server that restarts after a crash, is often back within a moment.
    for _ in 0..10 {
        if let Ok(session) = connect::open(target, &silent).await {
            let sql = Sql::fill(
                "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                &[&Ident::new(name)],
            );
            let dropped = session.run(&sql).await;
            session.close().await;
            if dropped.is_ok() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Gives the finished database its name.
async fn take_place(admin: &Admin, plan: &Plan) -> Result<Option<String>> {
    let building = Ident::new(&plan.building);
    let Some(kept_as) = &plan.kept_as else {
        let name = Ident::new(&plan.name);
        let sql = Sql::fill(
            "BEGIN; ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} CONNECTION LIMIT {}; COMMIT",
            &[&building, &name, &name, &plan.connection_limit],
        );
        let mut tries = 0;
        // Our own sessions on it may need a moment to be gone.
        while let Err(error) = admin.session.run(&sql).await {
            admin.session.run(&Sql::new("ROLLBACK")).await?;
            tries += 1;
            anyhow::ensure!(
                tries < 3,
                error.context(format!("naming the database `{}`", plan.name))
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        return Ok(None);
    };
    keep_migrations_out(&admin.target.with_database(&plan.name)).await?;
    let swap = Swap {
        finished: &plan.building,
        name: &plan.name,
        kept_as,
        connection_limit: plan.connection_limit,
    };
    swap::run(&admin.session, &admin.target, &swap).await?;
    if plan.is_empty {
        discard(&admin.target, kept_as).await;
        return Ok(None);
    }
    Ok(Some(kept_as.clone()))
}

/// Makes sure that no migration is running on what is about to be replaced.
async fn keep_migrations_out(old: &Target) -> Result<()> {
    let session = connect::open(old, &silent).await?;
    pooler::require_session(&session, old).await?;
    // Held no longer than this: the swap ends every session on the old database, ours included.
    let lock = lock::take(&session, Share::Alone, Duration::ZERO, &silent).await?;
    lock.release(&session).await?;
    session.close().await;
    Ok(())
}

/// Refuses names that cannot be swapped where the platform keeps a database for itself.
pub fn check_name(name: &str) -> Result<()> {
    if matches!(name, "template0" | "template1") {
        return Err(refuse(format!(
            "the database `{name}` belongs to the server, nothing was restored"
        ))
        .hint("name another with --into")
        .into());
    }
    if name.is_empty() || name.len() > 63 {
        return Err(fail(format!("`{name}` is no name for a database")).into());
    }
    Ok(())
}
