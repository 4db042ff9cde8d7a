//! Servers that listen on TCP, with settings, host-based rules and certificates of a test, and poolers in front of them.

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

/// The parent directory of a server's files: a short path, and in memory on Linux, like those of other temporary servers.
fn in_memory_if_possible() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        Path::new("/tmp")
    }
}

/// A temporary server on a TCP port.
pub(crate) struct TcpServer {
    pub(crate) port: u16,
    pub(crate) directory: TempDir,
    choice: ChosenPrograms,
    cluster: Option<Cluster>,
    settings: Vec<String>,
}

impl TcpServer {
    /// Prepares a server, not yet started.
    pub(crate) async fn prepare() -> TcpServer {
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
        TcpServer {
            port,
            directory,
            choice,
            cluster: None,
            settings: settings.to_vec(),
        }
    }

    /// Prepares a server with a system identifier of its own, which only `initdb` creates.
    pub(crate) async fn with_own_identity() -> TcpServer {
        let server = TcpServer::prepare().await;
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

    pub(crate) fn setting(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Replaces pg_hba.conf; the Unix socket stays open for every role.
    pub(crate) fn hba_rules(self, rules: &str) -> Self {
        self.put(
            "data/pg_hba.conf",
            &format!("local all all trust\n{rules}\n"),
        );
        self
    }

    /// Makes it a standby without a primary.
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

    /// Stops it like a crash: nothing is written, every connection is cut.
    pub(crate) fn crash(mut self) -> Self {
        if let Some(mut cluster) = self.cluster.take() {
            cluster.stop(ShutdownMode::Immediate);
        }
        self
    }

    /// Writes a file that only the server's user can read and returns its path.
    pub(crate) fn put(&self, name: &str, text: &str) -> PathBuf {
        put(self.directory.path(), name, text, &self.choice)
    }

    /// Returns the target over TCP, with parameters such as `sslmode=require`.
    pub(crate) fn target(&self, parameters: &str) -> Target {
        let address = format!(
            "postgres://postgres@127.0.0.1:{}/postgres?{parameters}",
            self.port
        );
        Target::parse(&address).expect("an address")
    }

    /// Returns the target over the Unix socket.
    pub(crate) fn socket(&self) -> Target {
        self.target("sslmode=disable")
            .with_socket(self.directory.path())
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.stop(ShutdownMode::Immediate);
        }
    }
}

/// A PgBouncer in front of a server.
pub(crate) struct PgBouncer {
    pub(crate) port: u16,
    _kept: ChildServer,
    _directory: TempDir,
}

impl PgBouncer {
    /// Starts it in a mode (`session`, `transaction`, `statement`), with further lines for its configuration.
    pub(crate) async fn start(to: &Target, mode: &str, more: &str) -> PgBouncer {
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
        PgBouncer {
            port,
            _kept: kept,
            _directory: directory,
        }
    }

    /// Returns a target's database through the pooler.
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

/// Finds a free port below the range from which the system assigns ports, so that no other program gets it meanwhile.
///
/// No test of this process gets the same port twice.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    for _ in 0..COUNT {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Other test processes start elsewhere.
        let port = FIRST + (std::process::id().wrapping_mul(97).wrapping_add(number)) % COUNT;
        let port = u16::try_from(port).expect("ports end later");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

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
