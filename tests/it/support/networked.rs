//! Servers of a test's own that listen on TCP, with settings, host-based rules and certificates as the test wants them;
//! and poolers before them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use af_db::event::silent;
use af_db::pg::child_server::{ChildServer, ShutdownMode};
use af_db::pg::embedded::cluster::{Cluster, Start};
use af_db::pg::embedded::template;
use af_db::pg::embedded::{self, ChosenPrograms, privileges};
use af_db::pg::program::Program;
use af_db::pg::target::Target;
use tempfile::TempDir;

use super::{packages, server};

/// Where a server's files go: a short name, and in memory on Linux, as the files of all other throwaway servers.
fn in_memory_if_possible() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        Path::new("/tmp")
    }
}

/// A throwaway server on a TCP port.
pub(crate) struct Networked {
    pub(crate) port: u16,
    pub(crate) directory: TempDir,
    choice: ChosenPrograms,
    cluster: Option<Cluster>,
    settings: Vec<String>,
}

impl Networked {
    /// Prepares a server that is not started yet.
    pub(crate) async fn prepare() -> Networked {
        let options = server::options();
        let choice = embedded::resolve(&options, &silent)
            .await
            .expect("a PostgreSQL to test with");
        let template = template::ensure(&options, &choice, &silent)
            .await
            .expect("a template");
        let directory = tempfile::Builder::new()
            .prefix("af-net-")
            .tempdir_in(in_memory_if_possible())
            .expect("a directory");
        privileges::give(directory.path(), choice.user.as_ref()).expect("a directory to give away");
        template::copy(
            &template,
            &directory.path().join("data"),
            choice.user.as_ref(),
        )
        .expect("a copy of the template");
        let port = free_port();
        let settings = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=off".to_owned(),
            "dynamic_shared_memory_type=mmap".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "max_connections=100".to_owned(),
        ];
        Networked {
            port,
            directory,
            choice,
            cluster: None,
            settings: settings.to_vec(),
        }
    }

    /// Prepares a server with an identity of its own, as only `initdb` gives one.
    pub(crate) async fn born() -> Networked {
        let server = Networked::prepare().await;
        let data = server.directory.path().join("data");
        std::fs::remove_dir_all(&data).expect("the copy of the template");
        let initdb = Program::new(server.choice.binaries.program("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync"])
            .arg(format!("--pgdata={}", data.display()))
            .user(server.choice.user.as_ref());
        let made = initdb.run().await.expect("initdb runs");
        made.check("making a cluster").expect("a cluster");
        server
    }

    /// Adds a setting, as `name=value`.
    pub(crate) fn setting(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Replaces the host-based rules; the socket stays open for everybody.
    pub(crate) fn rules(self, rules: &str) -> Self {
        self.put(
            "data/pg_hba.conf",
            &format!("local all all trust\n{rules}\n"),
        );
        self
    }

    /// Starts it as a replica of nobody.
    pub(crate) fn standby(self) -> Self {
        self.put("data/standby.signal", "");
        self
    }

    pub(crate) async fn start(mut self) -> Self {
        self.cluster = Some(
            Cluster::start(
                &self.choice,
                &Start {
                    sandbox: None,
                    data: &self.directory.path().join("data"),
                    sockets: Some(self.directory.path()),
                    log: &self.directory.path().join("log"),
                    settings: &self.settings,
                    on_our_death: ShutdownMode::Immediate,
                },
            )
            .await
            .expect("a server"),
        );
        self
    }

    /// Stops it as a crash would: nothing is written down, every session is cut.
    pub(crate) fn crash(mut self) -> Self {
        if let Some(mut cluster) = self.cluster.take() {
            cluster.stop(ShutdownMode::Immediate);
        }
        self
    }

    /// Writes a file that only the server's user can read and gives its path.
    pub(crate) fn put(&self, name: &str, text: &str) -> PathBuf {
        put(self.directory.path(), name, text, &self.choice)
    }

    /// Returns the address over TCP, with parameters such as `sslmode=require`.
    pub(crate) fn target(&self, parameters: &str) -> Target {
        let address = format!(
            "postgres://postgres@127.0.0.1:{}/postgres?{parameters}",
            self.port
        );
        Target::parse(&address).expect("an address")
    }

    /// Returns the address over the Unix socket.
    pub(crate) fn socket(&self) -> Target {
        self.target("sslmode=disable")
            .with_socket(self.directory.path())
    }
}

impl Drop for Networked {
    fn drop(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.stop(ShutdownMode::Immediate);
        }
    }
}

/// A PgBouncer before a server.
pub(crate) struct Bouncer {
    pub(crate) port: u16,
    _kept: ChildServer,
    _directory: TempDir,
}

impl Bouncer {
    /// Starts one in a mode (`session`, `transaction`, `statement`), with further lines for its settings.
    pub(crate) async fn start(to: &Target, mode: &str, more: &str) -> Bouncer {
        let program = packages::pgbouncer();
        let choice = embedded::resolve(&server::options(), &silent)
            .await
            .expect("a PostgreSQL to test with");
        let directory = tempfile::Builder::new()
            .prefix("af-bouncer-")
            .tempdir_in("/tmp")
            .expect("a directory");
        privileges::give(directory.path(), choice.user.as_ref()).expect("a directory to give away");
        let port = free_port();
        let server = &to.hosts[0];
        let text = format!(
            "[databases]\n* = host={} port={} user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=any\npool_mode={mode}\nlogfile=\nadmin_users=\n{more}\n",
            server.name, server.port
        );
        let settings = put(directory.path(), "pgbouncer.ini", &text, &choice);
        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let tool = Program::new(program)
            .arg(settings)
            .user(choice.user.as_ref());
        let kept = ChildServer::start(&tool, log, ShutdownMode::Immediate).expect("a pooler");
        wait_for(port).await;
        Bouncer {
            port,
            _kept: kept,
            _directory: directory,
        }
    }

    /// Returns the address of a target's database by way of the pooler.
    pub(crate) fn target(&self, of: &Target) -> Target {
        of.with_address("127.0.0.1", self.port)
    }
}

fn put(directory: &Path, name: &str, text: &str, choice: &ChosenPrograms) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = directory.join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a private file");
    privileges::give(&path, choice.user.as_ref()).expect("a file to give away");
    path
}

/// Finds a port nobody uses, and that nobody is given who asks the system for any port, before it is listened on.
///
/// So it lies below those the system gives away, and no test of this process gets it twice.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    for _ in 0..COUNT {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Another process of these tests begins elsewhere.
        let port = FIRST + (std::process::id().wrapping_mul(97).wrapping_add(number)) % COUNT;
        let port = u16::try_from(port).expect("ports end later");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Waits until something listens on a port.
async fn wait_for(port: u16) {
    for _ in 0..3000 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nothing listens on port {port}");
}
