//! Shadow databases: throwaway databases on a private PostgreSQL server, kept in memory where possible.
//!
//! Callers fill them: migrations are replayed, a drill restores a backup.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::runtime;

use crate::error::fail;
use crate::event::{self, Event, Watch};
use crate::pg::child_server::ShutdownMode;
use crate::pg::connect;
use crate::pg::embedded::cluster::{self, Cluster, Start};
use crate::pg::embedded::sandbox::{self, Confinement, Sandbox};
use crate::pg::embedded::scratch_dir::{self, ScratchDir};
use crate::pg::embedded::template;
use crate::pg::embedded::{self, ChosenPrograms, Options};
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::external_access::ExternalAccess;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// A server for shadow databases; dropping it removes them, and stops the server if we started it.
pub struct ShadowServer {
    host: Host,
    /// The server, and the database from which others are created and dropped.
    server: Target,
    /// A session kept open, because connecting takes longer than creating a database; used by one caller at a time.
    ///
    /// Bound to the runtime it was opened in, whose id is stored with it.
    admin_session: tokio::sync::Mutex<Option<(runtime::Id, Session)>>,
    version_num: u32,
    /// Description of the server and why it was chosen.
    pub why: String,
    /// The major version that was wanted, if this is another one: results may not apply to it.
    pub instead_of: Option<u32>,
}

enum Host {
    /// A server of our own.
    Started {
        cluster: Cluster,
        scratch_dir: ScratchDir,
    },
    /// A server provided by the user: our databases have a prefix and are dropped one by one.
    Provided {
        prefix: String,
        created: Mutex<BTreeSet<String>>,
    },
}

/// Starts a server of the wanted major version, or connects to the one that the user provides.
pub async fn start(options: &Options, watch: Watch<'_>) -> Result<ShadowServer> {
    if let Some(server) = &options.shadow_server {
        return connect_to_provided(options, server, watch).await;
    }
    let programs = embedded::resolve(options, watch).await?;
    let template = template::ensure(options, &programs, watch).await?;
    let scratch_dir = scratch_dir::create(options, &programs, &template, watch)?;
    let mut settings = SETTINGS.map(str::to_owned).to_vec();
    settings.push(lock_table_size(options.locks));
    let server = cluster::private_address(&scratch_dir.directory, &mut settings)?;
    let sandbox = prepare_sandbox(options, &programs, &scratch_dir, watch);
    let server = server.confined(match &sandbox {
        Some(_) => Confinement::Sandbox,
        None => Confinement::Text(options.allowed.clone()),
    });
    let cluster = Cluster::start(
        &programs,
        &Start {
            data: &scratch_dir.directory.join("data"),
            sockets: cfg!(unix).then_some(&scratch_dir.directory),
            log: &scratch_dir.directory.join("log"),
            settings: &settings,
            on_our_death: ShutdownMode::Immediate,
            sandbox,
        },
    )
    .await;
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(error) => {
            scratch_dir.clear();
            return Err(error);
        }
    };
    Ok(ShadowServer {
        host: Host::Started {
            cluster,
            scratch_dir,
        },
        server: server.with_database("postgres"),
        admin_session: tokio::sync::Mutex::new(None),
        version_num: programs.binaries.version.number(),
        why: programs.why(),
        instead_of: programs.instead_of,
    })
}

/// Prepares the sandbox; `None` where the system does not support it or the operator disabled it.
fn prepare_sandbox(
    options: &Options,
    programs: &ChosenPrograms,
    scratch_dir: &ScratchDir,
    watch: Watch<'_>,
) -> Option<Arc<Sandbox>> {
    let wanted = sandbox::SandboxSpec {
        binaries: &programs.binaries,
        scratch_dir: &scratch_dir.directory,
        allowed: &options.allowed,
    };
    match sandbox::prepare(&wanted) {
        Ok(sandbox) => Some(Arc::new(sandbox)),
        Err(reason) => {
            watch(Event::Info(&format!(
                "the shadow database cannot be sandboxed: {reason}; SQL that visibly accesses anything outside of the database is refused"
            )));
            None
        }
    }
}

async fn connect_to_provided(
    options: &Options,
    server: &Target,
    watch: Watch<'_>,
) -> Result<ShadowServer> {
    let session = connect::open(server, watch)
        .await
        .context("connecting to AF_DB_SHADOW_URL")?;
    let version_num =
        u32::try_from(session.server_info().version_num).context("reading the server's version")?;
    let row = session
        .query_one(include_str!("queries/shadow_leftovers.sql"), &[])
        .await?;
    session.close().await;
    refuse_powerful(row.get("powers"))?;
    let outside = [ExternalAccess::Programs, ExternalAccess::Files];
    let trusted = outside.iter().all(|reach| options.allowed.contains(reach));
    if row.get("grants_itself") && !trusted {
        return Err(fail("the role of AF_DB_SHADOW_URL has CREATEROLE and can grant itself pg_execute_server_program")
            .hint("use a role without CREATEROLE, or PostgreSQL 16 or newer; if you trust this SQL, set AF_DB_SHADOW_ALLOW=programs,files in your environment")
            .into());
    }
    let (hour, leftovers): (i64, Vec<String>) = (row.get("hour"), row.get("leftovers"));
    drop_all(server, leftovers.iter().map(String::as_str)).await?;
    let major = version_num / 10_000;
    let instead_of = options.major.filter(|wanted| *wanted != major);
    if let Some(wanted) = instead_of
        && !options.allow_major_mismatch
    {
        return Err(fail(format!(
            "the server of AF_DB_SHADOW_URL is PostgreSQL {major}, but {wanted} is needed"
        ))
        .hint(
            "unset AF_DB_SHADOW_URL, or set AF_DB_ALLOW_MAJOR_MISMATCH=1 to allow another version",
        )
        .into());
    }
    let why = format!("PostgreSQL {major} from AF_DB_SHADOW_URL");
    watch(Event::Info(&why));
    watch(Event::Warning(UNCONFINED));
    watch(Event::Warning(
        "roles created by migrations remain on the server of AF_DB_SHADOW_URL and affect the next run",
    ));
    Ok(ShadowServer {
        host: Host::Provided {
            prefix: format!("af_db_scratch_{hour}_{}_", scratch_dir::random_name()),
            created: Mutex::new(BTreeSet::new()),
        },
        server: server.confined(Confinement::Text(options.allowed.clone())),
        admin_session: tokio::sync::Mutex::new(None),
        version_num,
        why,
        instead_of,
    })
}

/// The warning about a server provided by the user.
pub const UNCONFINED: &str = "the server of AF_DB_SHADOW_URL is not sandboxed: SQL assembled at run time can do whatever its role may do";

/// Refuses to run unreviewed SQL with a role that has access outside of a server that is not ours.
fn refuse_powerful(powers: Option<&str>) -> Result<()> {
    match powers {
        None => Ok(()),
        Some(powers) => Err(fail(format!(
            "the role of AF_DB_SHADOW_URL {powers}, and unreviewed SQL would run with its privileges"
        ))
        .hint("create a role for AF_DB_SHADOW_URL: CREATE ROLE af_db_shadow LOGIN CREATEDB; add CREATEROLE if the migrations create roles and the server is PostgreSQL 16 or newer")
        .into()),
    }
}

impl ShadowServer {
    /// As in `server_version_num`.
    pub fn version_num(&self) -> u32 {
        self.version_num
    }

    /// Returns the target of a database on the server, which need not exist yet.
    pub fn target(&self, database: &str) -> Result<Target> {
        match &self.host {
            Host::Started { .. } => Ok(self.server.with_database(database)),
            Host::Provided { prefix, .. } => {
                Ok(self.server.with_database(&format!("{prefix}{database}")))
            }
        }
    }

    /// Creates an empty database.
    pub async fn database(&self, name: &str) -> Result<Target> {
        self.create(name, &Ident::new("template0")).await
    }

    /// Copies a database without connections.
    pub async fn clone_database(&self, from: &str, to: &str) -> Result<Target> {
        let from = Ident::new(self.target(from)?.database());
        let target = self.create(to, &from).await?;
        if matches!(self.host, Host::Started { .. }) {
            // The server does not copy the settings of the database; a migration may depend on them.
            let settings = Sql::fill(
                "INSERT INTO pg_catalog.pg_db_role_setting \
                 SELECT (SELECT oid FROM pg_catalog.pg_database WHERE datname = {}), s.setrole, s.setconfig \
                 FROM pg_catalog.pg_db_role_setting AS s \
                 JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase \
                 WHERE d.datname = {}",
                &[&Literal::new(to), &Literal::new(from.as_str())],
            );
            self.run(&[settings])
                .await
                .with_context(|| format!("copying the settings of the shadow database `{from}`"))?;
        }
        Ok(target)
    }

    /// Drops a database if it exists, terminating its sessions.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let target = self.target(name)?;
        self.run(&[dropping(target.database())])
            .await
            .with_context(|| format!("dropping the shadow database `{name}`"))?;
        if let Host::Provided { created, .. } = &self.host {
            let mut created = created.lock().unwrap_or_else(PoisonError::into_inner);
            created.remove(target.database());
        }
        Ok(())
    }

    /// Returns the process id of a server of our own.
    pub fn pid(&self) -> Option<u32> {
        match &self.host {
            Host::Started { cluster, .. } => Some(cluster.pid()),
            Host::Provided { .. } => None,
        }
    }

    /// Returns the directory of a server of our own.
    pub fn directory(&self) -> Option<&Path> {
        match &self.host {
            Host::Started { scratch_dir, .. } => Some(&scratch_dir.directory),
            Host::Provided { .. } => None,
        }
    }

    async fn run(&self, statements: &[Sql]) -> Result<()> {
        let mut admin_session = self.admin_session.lock().await;
        let here = runtime::Handle::current().id();
        let session = match admin_session.take() {
            Some((there, session)) if there == here && !session.is_closed() => session,
            _ => connect::open(&self.server, &event::silent).await?,
        };
        for sql in statements {
            session.run(sql).await?;
        }
        *admin_session = Some((here, session));
        Ok(())
    }

    async fn create(&self, name: &str, template: &Ident) -> Result<Target> {
        let target = self.target(name)?;
        let database = Ident::new(target.database());
        // Copying files is faster than writing every page to WAL; PostgreSQL 14 has no other strategy and no keyword for it.
        // On a server that is not ours it would force a checkpoint on everyone else.
        let by_files = matches!(self.host, Host::Started { .. }) && self.version_num >= 150_000;
        let sql = if by_files {
            Sql::fill(
                "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy",
                &[&database, template],
            )
        } else {
            Sql::fill("CREATE DATABASE {} TEMPLATE {}", &[&database, template])
        };
        if let Host::Provided { created, .. } = &self.host {
            let mut created = created.lock().unwrap_or_else(PoisonError::into_inner);
            created.insert(target.database().to_owned());
        }
        self.run(&[sql])
            .await
            .with_context(|| format!("creating the shadow database `{name}`"))?;
        Ok(target)
    }
}

async fn drop_all<'a>(server: &Target, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let session = connect::open(server, &event::silent).await?;
    for name in names {
        session.run(&dropping(name)).await?;
    }
    session.close().await;
    Ok(())
}

fn dropping(database: &str) -> Sql {
    let database = Ident::new(database);
    Sql::fill("DROP DATABASE IF EXISTS {} WITH (FORCE)", &[&database])
}

impl Drop for ShadowServer {
    fn drop(&mut self) {
        match &mut self.host {
            Host::Started {
                cluster,
                scratch_dir,
            } => {
                cluster.stop(ShutdownMode::Immediate);
                scratch_dir.clear();
            }
            Host::Provided { created, .. } => {
                let created =
                    std::mem::take(created.get_mut().unwrap_or_else(PoisonError::into_inner));
                if !created.is_empty() {
                    drop_from_anywhere(self.server.clone(), created);
                }
            }
        }
    }
}

/// Drops databases where nothing can be awaited; a runtime cannot run inside another, but can on its own thread.
fn drop_from_anywhere(server: Target, names: BTreeSet<String>) {
    let work = move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(drop_all(&server, names.iter().map(String::as_str)))
    };
    // If the server is gone, so are its databases; there is no one left to report an error to.
    let _ = std::thread::spawn(work).join();
}

/// Sizes the lock table like that of the live server, within bounds.
///
/// Every look at `pg_locks` walks the whole lock table, and we take one after every statement. The table's size is the next
/// power of two above this setting times `max_connections` and similar settings: 8,192 or 16,384. The first is the
/// default of a server, the second has room to create 6,000 tables with their keys at once.
fn lock_table_size(live: Option<i64>) -> String {
    const ENOUGH: i64 = 7_000;
    let each = match live {
        Some(locks) if locks <= ENOUGH => 64,
        _ => 128,
    };
    format!("max_locks_per_transaction={each}")
}

/// Nothing needs to survive a crash; the settings are for speed, or keep the server private.
const SETTINGS: [&str; 25] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "jit=off",
    // Publications and slots in migrations behave as they do on a managed server.
    "wal_level=logical",
    "max_logical_replication_workers=0",
    "max_connections=100",
    "max_prepared_transactions=10",
    // Reading `pg_locks` walks this table as well, and no one runs several serializable transactions at once here.
    "max_pred_locks_per_transaction=10",
    "autovacuum_max_workers=1",
    "max_wal_senders=4",
    "shared_buffers=32MB",
    // Containers provide a /dev/shm of 64 MB; files in the data directory have no such limit.
    "dynamic_shared_memory_type=mmap",
    "huge_pages=off",
    "max_wal_size=256MB",
    "min_wal_size=16MB",
    "checkpoint_timeout=1d",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=off",
    "log_min_messages=fatal",
    "log_checkpoints=off",
];
