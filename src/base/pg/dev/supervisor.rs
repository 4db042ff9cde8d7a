//! The supervisor of a development server: creates its data, starts it, and runs it until it is asked to stop, is idle,
//! or ends.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::server_dir::{AccessInfo, ServerDir};
use crate::error::fail;
use crate::event::silent;
use crate::pg::child_server::{self, ShutdownMode};
use crate::pg::connect;
use crate::pg::dev::random;
use crate::pg::embedded::cluster::{Cluster, Start, free_port};
use crate::pg::embedded::template;
use crate::pg::embedded::{self, ChosenPrograms, Options, file_lock, private_files, privileges};
use crate::pg::program::Program;
use crate::sql::name::{Ident, Literal};

/// The database of a development server; `postgres` is used for creating databases.
const DATABASE: &str = "dev";

/// How often the supervisor checks for a stop request.
const TICK: Duration = Duration::from_millis(50);

/// How often it checks for connections.
const LOOK: Duration = Duration::from_secs(60);

/// Runs a development server until it is asked to stop, ends, or had no connections for `idle`.
///
/// Returns at once when another supervisor is running. A failed start is also recorded for the command that waits for it.
pub async fn supervise(dir: &ServerDir, options: &Options, idle: Duration) -> Result<()> {
    dir.make()?;
    let Some(_owner) = take_owner_lock(dir).await? else {
        return Ok(());
    };
    dir.clear();
    let begun = begin(dir, options).await;
    if let Err(error) = &begun {
        dir.report_failure(error);
    }
    let (mut cluster, access) = begun?;
    let watched = watch_over(dir, &cluster, &access, idle).await;
    dir.clear();
    // A server whose files are gone has nothing left to write.
    let mode = if dir.data().exists() {
        ShutdownMode::Fast
    } else {
        ShutdownMode::Immediate
    };
    cluster.stop(mode);
    watched
}

/// Takes the owner's lock; a supervisor that is just ending may hold it a moment longer.
async fn take_owner_lock(dir: &ServerDir) -> Result<Option<file_lock::FileLock>> {
    let began = Instant::now();
    loop {
        if let Some(lock) = file_lock::attempt(&dir.owner_lock())? {
            return Ok(Some(lock));
        }
        if dir.is_ready() && !dir.is_asked_to_stop() || began.elapsed() > Duration::from_secs(30) {
            return Ok(None);
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Starts the server and reports that it is ready.
async fn begin(dir: &ServerDir, options: &Options) -> Result<(Cluster, AccessInfo)> {
    let programs = choose(dir, options).await?;
    end_orphan(dir).await;
    let mut access = prepare(dir, &programs).await?;
    let cluster = launch(dir, &programs, &mut access).await?;
    dir.write_access(&access)?;
    dir.report_ready()?;
    Ok((cluster, access))
}

/// Chooses the programs: those the data was created with, or any for a new server.
async fn choose(dir: &ServerDir, options: &Options) -> Result<ChosenPrograms> {
    let mut options = options.clone();
    let made_by = super::major(dir);
    if made_by.is_some() {
        options.major = made_by;
        options.allow_major_mismatch = false;
    }
    let programs = embedded::resolve(&options, &silent).await;
    match (programs, made_by) {
        (Err(error), Some(major)) => {
            let hint = crate::error::hint_of(&error).unwrap_or_default().to_owned();
            let message =
                format!("the development server's data is of PostgreSQL {major}: {error:#}");
            Err(fail(message)
                .hint(format!("{hint}; or start over with `af-db dev reset`"))
                .into())
        }
        (programs, _) => programs,
    }
}

/// Shuts down a server whose supervisor was killed, where the system did not do it: it still holds the data directory.
async fn end_orphan(dir: &ServerDir) {
    let began = Instant::now();
    while let Some(pid) = file_lock::running_server(&dir.data()) {
        if began.elapsed() > Duration::from_secs(30) {
            return;
        }
        child_server::signal(pid, ShutdownMode::Fast);
        tokio::time::sleep(TICK).await;
    }
}

/// Creates the data of a new server, or reads the connection parameters of the existing one.
async fn prepare(dir: &ServerDir, programs: &ChosenPrograms) -> Result<AccessInfo> {
    if dir.data().exists()
        && let Some(access) = dir.access()?
    {
        return Ok(access);
    }
    let part = dir.part();
    // A leftover of a killed start; we hold the owner's lock.
    let _ = fs::remove_dir_all(&part);
    // Not a copy of the template: copies have the same system identifier, by which backups distinguish clusters.
    template::cluster(programs, &part).await?;
    let access = AccessInfo {
        version: 1,
        server: programs.binaries.version.to_string(),
        port: free_port()?,
        password: random::password()?,
        database: DATABASE.to_owned(),
    };
    set_up_database(programs, &part, &access).await?;
    // Every user of the machine can reach the port, so a password is required.
    let rules = "host all all 127.0.0.1/32 scram-sha-256\n";
    let file = part.join("pg_hba.conf");
    let write = || -> std::io::Result<()> {
        let mut rules_file = private_files::create(&file)?;
        privileges::give_file(&rules_file, programs.user.as_ref())?;
        rules_file.write_all(rules.as_bytes())
    };
    write().map_err(|error| private_files::cannot_write(&file, &error))?;
    dir.write_access(&access)?;
    fs::rename(&part, dir.data())
        .map_err(|error| private_files::cannot_write(&dir.data(), &error))?;
    Ok(access)
}

/// Sets the password before the server ever listens, through standard input, as arguments can be read by every user, and
/// creates the database.
async fn set_up_database(
    programs: &ChosenPrograms,
    data: &Path,
    access: &AccessInfo,
) -> Result<()> {
    let sql = format!(
        "ALTER ROLE postgres PASSWORD {}\nCREATE DATABASE {}\n",
        Literal::new(&access.password),
        Ident::new(&access.database)
    );
    Program::new(programs.binaries.program("postgres"))
        .args(["--single", "-D"])
        .arg(data)
        .arg("postgres")
        .user(programs.user.as_ref())
        .input(sql)
        .run()
        .await?
        .check("preparing the development server failed")?;
    Ok(())
}

/// Starts the server on its port, or on another one that is free.
async fn launch(
    dir: &ServerDir,
    programs: &ChosenPrograms,
    access: &mut AccessInfo,
) -> Result<Cluster> {
    // The log of one run; it would grow for ever otherwise.
    let _ = fs::remove_file(dir.log());
    let mut tries = 0;
    loop {
        if !is_free(access.port) {
            access.port = free_port()?;
        }
        let settings = settings(access.port);
        let start = Start {
            sandbox: None,
            data: &dir.data(),
            sockets: None,
            log: &dir.log(),
            settings: &settings,
            on_our_death: ShutdownMode::Fast,
        };
        tries += 1;
        match Cluster::start(programs, &start).await {
            Ok(cluster) => {
                access.server = cluster.version.to_string();
                return Ok(cluster);
            }
            // Another program may have taken the port since it was checked.
            Err(_) if !is_free(access.port) && tries < 5 => {}
            Err(error) => return Err(error),
        }
    }
}

fn settings(port: u16) -> Vec<String> {
    let fixed = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "wal_level=logical",
        "max_connections=100",
        "max_wal_size=512MB",
        "jit=off",
        "timezone=UTC",
        "log_timezone=UTC",
        // Containers provide a /dev/shm of 64 MB; files in the data directory have no such limit.
        "dynamic_shared_memory_type=mmap",
    ];
    let mut settings = fixed.map(str::to_owned).to_vec();
    settings.push(format!("port={port}"));
    settings
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

async fn watch_over(
    dir: &ServerDir,
    cluster: &Cluster,
    access: &AccessInfo,
    idle: Duration,
) -> Result<()> {
    let mut busy = Instant::now();
    let mut looked = Instant::now();
    let mut asked = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            signal = &mut asked => return signal,
            () = tokio::time::sleep(TICK) => {}
        }
        if cluster.has_ended() {
            return Err(fail("the development server exited unexpectedly")
                .hint(format!("see the log: {}", dir.log().display()))
                .into());
        }
        // A removed or moved project took the directory with it.
        if dir.is_asked_to_stop() || !dir.data().exists() {
            return Ok(());
        }
        if looked.elapsed() >= LOOK.min(idle) {
            looked = Instant::now();
            if is_used(access).await {
                busy = looked;
            }
            if busy.elapsed() >= idle {
                return Ok(());
            }
        }
    }
}

/// Returns whether anyone else is connected; a server without free connections is in use.
async fn is_used(access: &AccessInfo) -> bool {
    let count = async {
        let session = connect::open(&access.target()?, &silent).await?;
        let row = session
            .query_one(
                "SELECT count(*) FROM pg_catalog.pg_stat_activity \
                 WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()",
                &[],
            )
            .await?;
        session.close().await;
        anyhow::Ok(row.get::<_, i64>(0))
    };
    count.await.map_or(true, |others| others > 0)
}

#[cfg(unix)]
async fn stop_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut end = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn stop_signal() -> Result<()> {
    tokio::signal::ctrl_c()
        .await
        .context("listening for Ctrl-C")
}
