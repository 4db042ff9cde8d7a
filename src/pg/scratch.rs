//! Owns throwaway databases: a server nobody else sees, in memory where there is room, gone with this value.
//!
//! What is put into them is the caller's: the shadow replays migrations, a drill restores an archive.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::event::{self, Event, Watch};
use crate::pg::connect;
use crate::pg::embedded::cluster::{self, Cluster, Start};
use crate::pg::embedded::template::{self, Kind};
use crate::pg::embedded::{self, Choice, Options, lock, privileges};
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::pg::tools::{Ask, Watchdog};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// A throwaway server; dropping it ends the server and removes its files.
pub struct Scratch {
    cluster: Cluster,
    room: Room,
    /// What was started and why.
    pub choice: Choice,
}

/// Starts a throwaway server of the major version wanted.
pub async fn start(options: &Options, watch: Watch<'_>) -> Result<Scratch> {
    let choice = embedded::resolve(options, watch).await?;
    let template = template::ensure(options, &choice, Kind::Slim, watch).await?;
    let room = furnish(options, &choice, &template, watch)?;
    let cluster = Cluster::start(
        &choice,
        &Start {
            data: &room.directory.join("data"),
            sockets: &room.directory,
            log: &room.directory.join("log"),
            settings: &SETTINGS.map(str::to_owned),
        },
    )
    .await?;
    Ok(Scratch {
        cluster,
        room,
        choice,
    })
}

impl Scratch {
    /// Gives the server's version as `server_version_num` says it.
    pub fn version_num(&self) -> u32 {
        self.choice.binaries.version.number()
    }

    /// Gives the address of a database on it, which need not exist yet.
    pub fn target(&self, database: &str) -> Result<Target> {
        cluster::socket_target(&self.room.directory, database)
    }

    /// Makes an empty database.
    pub async fn database(&self, name: &str) -> Result<Target> {
        self.create(name, "template0").await
    }

    /// Makes a copy of a database that nobody is connected to.
    pub async fn clone_database(&self, from: &str, to: &str) -> Result<Target> {
        self.create(to, from).await
    }

    /// Removes a database, ending its sessions; one that is not there is not missed.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let sql = Sql::fill(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            &[&Ident::new(name)],
        );
        self.administer(&sql)
            .await
            .with_context(|| format!("dropping the scratch database `{name}`"))
    }

    /// Gives the process id of the server.
    pub fn pid(&self) -> u32 {
        self.cluster.pid()
    }

    /// Gives the directory that holds all of it.
    pub fn directory(&self) -> &Path {
        &self.room.directory
    }

    async fn create(&self, name: &str, template: &str) -> Result<Target> {
        let (name_ident, template_ident) = (Ident::new(name), Ident::new(template));
        // Copying files beats writing every page to the log; 14 knows no other way and no word for it.
        let sql = if self.choice.binaries.version.major >= 15 {
            Sql::fill(
                "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy",
                &[&name_ident, &template_ident],
            )
        } else {
            Sql::fill(
                "CREATE DATABASE {} TEMPLATE {}",
                &[&name_ident, &template_ident],
            )
        };
        self.administer(&sql)
            .await
            .with_context(|| format!("making the scratch database `{name}`"))?;
        self.target(name)
    }

    async fn administer(&self, sql: &Sql) -> Result<()> {
        let session: Session = connect::open(&self.target("postgres")?, &event::silent).await?;
        session.run(sql).await?;
        session.close().await;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.cluster.stop(Ask::Immediate);
        self.room.clear();
    }
}

/// Nothing here needs to survive; everything here is for speed, or keeps the server to itself.
const SETTINGS: [&str; 23] = [
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
    "max_locks_per_transaction=256",
    "shared_buffers=32MB",
    // Containers give /dev/shm 64 MB; files in the data directory have no such limit.
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

/// The directory a throwaway server lives in, with what removes it should we be killed.
struct Room {
    directory: PathBuf,
    _lock: lock::Lock,
    _watchdog: Watchdog,
}

impl Room {
    fn clear(&self) {
        // What is left is swept by the watchdog or the next run.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Makes the directory, in memory if there is room, and copies the template into it.
fn furnish(options: &Options, choice: &Choice, template: &Path, watch: Watch<'_>) -> Result<Room> {
    let mut last = None;
    for base in bases(options, choice) {
        lock::sweep(&base);
        match furnish_in(&base, choice, template) {
            Ok(room) => return Ok(room),
            Err(error) => {
                let line = format!("cannot use {}: {error:#}", base.display());
                if let Some(earlier) = last.replace(error) {
                    drop::<anyhow::Error>(earlier);
                }
                watch(Event::Warned(&line));
            }
        }
    }
    Err(last.unwrap_or_else(|| {
        fail("there is no directory for a throwaway PostgreSQL")
            .hint("set TMPDIR to a directory with a short name that the server's user can enter")
            .into()
    }))
}

fn furnish_in(base: &Path, choice: &Choice, template: &Path) -> Result<Room> {
    let user = choice.user.as_ref();
    let directory = base.join(format!("{}{}", lock::SCRATCH_PREFIX, random_name()?));
    // First the watchdog: from here on nothing stays, whenever we are killed.
    let watchdog = Watchdog::start(&directory, user)?;
    template::make_private(&directory)
        .map_err(|error| template::cannot_write(&directory, &error))?;
    let lock = lock::create(&directory.join("owner.lock"));
    let room = Room {
        _lock: match lock {
            Ok(lock) => lock,
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                return Err(error);
            }
        },
        directory,
        _watchdog: watchdog,
    };
    let filled = privileges::give(&room.directory, user)
        .map_err(|error| template::cannot_write(&room.directory, &error))
        .and_then(|()| template::copy(template, &room.directory.join("data"), user));
    if let Err(error) = filled {
        room.clear();
        return Err(error);
    }
    Ok(room)
}

/// What a throwaway server may need before memory is the wrong place for it.
const ROOM_IN_MEMORY: u64 = 1 << 30;

/// The longest name of a socket that every system takes, less the socket's own name.
const LONGEST_DIRECTORY: usize = 103 - "/.s.PGSQL.5432".len();

/// Gives the places for a throwaway server, the fastest first.
fn bases(options: &Options, choice: &Choice) -> Vec<PathBuf> {
    let temp = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut bases = vec![temp, PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    if free(Path::new("/dev/shm")) >= ROOM_IN_MEMORY {
        bases.insert(0, PathBuf::from("/dev/shm"));
    }
    let longest = LONGEST_DIRECTORY - lock::SCRATCH_PREFIX.len() - NAME_LENGTH - 1;
    let mut usable: Vec<PathBuf> = Vec::new();
    for base in bases {
        let fits = base.as_os_str().len() <= longest;
        if fits
            && base.is_dir()
            && !usable.contains(&base)
            && privileges::can_reach(choice.user.as_ref(), &base.join("x"))
        {
            usable.push(base);
        }
    }
    usable
}

#[cfg(unix)]
fn free(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |stat| stat.f_bavail * stat.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> u64 {
    0
}

const NAME_LENGTH: usize = 10;

/// Gives a name nobody else has; the directory is made exclusively, so that a clash is an error, not a mix-up.
fn random_name() -> Result<String> {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let mut name = format!("{:016x}", hasher.finish());
    name.truncate(NAME_LENGTH);
    Ok(name)
}
