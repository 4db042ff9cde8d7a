//! Real servers for tests: one shared by the whole process, with a fresh database for each test, or a separate one for a
//! test that changes roles or settings.

use std::sync::mpsc;
use std::sync::{Mutex, OnceLock, PoisonError};

use af_db::backup::clients::ClientSearchPath;
use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::embedded::Options;
use af_db::pg::session::Session;
use af_db::pg::shadow_server::{self, ShadowServer};
use af_db::pg::target::Target;
use af_db::sql::external_access::ExternalAccess;
use af_db::sql::safe::Sql;
use anyhow::Result;
use tokio_postgres::SimpleQueryMessage;

use crate::support::packages;

/// The server shared by all tests of the process.
static SHARED: tokio::sync::OnceCell<Server> = tokio::sync::OnceCell::const_new();

/// Numbers databases, so that their names are unique.
static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// A temporary server.
pub(crate) struct Server {
    pub(crate) scratch: ShadowServer,
}

/// A fresh database on a temporary server; it is dropped some time after the value.
pub(crate) struct Database {
    pub(crate) target: Target,
    pub(crate) name: String,
}

/// The options of test servers: where client programs had to be downloaded, servers have the same version.
pub(crate) fn options() -> Options {
    let mut options = Options::defaults();
    options.major = packages::clients().map(|clients| clients.major);
    // Test servers stand for production servers, which have no sandbox.
    options.allowed = ExternalAccess::ALL.into_iter().collect();
    options
}

/// Where tests find PostgreSQL's client programs.
pub(crate) fn places() -> ClientSearchPath {
    ClientSearchPath {
        named: packages::clients().map(|clients| clients.directory.clone()),
        path: Vec::new(),
    }
}

/// Returns the server shared by all tests, for tests that create databases and change nothing else.
pub(crate) async fn shared() -> &'static Server {
    SHARED
        .get_or_init(|| async { started(None).await.expect("a PostgreSQL to test with") })
        .await
}

/// Creates a database on the shared server.
pub(crate) async fn database() -> Database {
    shared().await.database().await
}

/// Starts a separate server; of any major version unless given.
pub(crate) async fn own(major: Option<u32>) -> Server {
    started(major).await.expect("a PostgreSQL to test with")
}

async fn started(major: Option<u32>) -> Result<Server> {
    let mut options = options();
    options.major = major.or(options.major);
    let scratch = shadow_server::start(&options, &silent).await?;
    Ok(Server { scratch })
}

impl Server {
    /// Creates a database.
    pub(crate) async fn database(&self) -> Database {
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("test_{number}");
        let target = self
            .scratch
            .database(&name)
            .await
            .expect("a fresh database");
        Database { target, name }
    }
}

impl Database {
    pub(crate) async fn session(&self) -> Session {
        connect::open(&self.target, &silent)
            .await
            .expect("a session on a shadow database")
    }

    pub(crate) async fn session_as(&self, role: &str) -> Session {
        connect::open(&self.target.with_user(role), &silent)
            .await
            .expect("a session on a shadow database")
    }

    /// Runs statements, which must succeed.
    pub(crate) async fn run(&self, sql: &str) {
        if let Err(error) = self.session().await.run(&Sql::written_by_user(sql)).await {
            panic!("{error:#}\n{sql}");
        }
    }

    /// Returns every row as text, null as `∅`.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let session = self.session().await;
        rows(&session, sql).await
    }

    /// Returns a single value, as text.
    pub(crate) async fn one(&self, sql: &str) -> String {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "one row from {sql}");
        rows.remove(0).remove(0)
    }
}

/// Returns every row as text, null as `∅`.
pub(crate) async fn rows(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let messages = session
        .simple_query(&Sql::written_by_user(sql))
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{sql}"));
    messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or("∅").to_owned())
                    .collect(),
            ),
            _ => None,
        })
        .collect()
}

impl Drop for Database {
    /// Drops the database in the background, so that hundreds of tests do not exhaust the memory.
    fn drop(&mut self) {
        static JANITOR: OnceLock<Mutex<mpsc::Sender<Target>>> = OnceLock::new();
        let janitor = JANITOR.get_or_init(|| {
            let (give, take) = mpsc::channel::<Target>();
            std::thread::spawn(move || clean(&take));
            Mutex::new(give)
        });
        let _ = janitor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(self.target.clone());
    }
}

fn clean(take: &mpsc::Receiver<Target>) {
    use af_db::sql::name::Ident;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    while let Ok(target) = take.recv() {
        runtime.block_on(async {
            // The server may be gone already, and its databases with it.
            let name = Ident::new(target.database());
            if let Ok(session) = connect::open(&target.with_database("postgres"), &silent).await {
                let sql = Sql::fill("DROP DATABASE IF EXISTS {} WITH (FORCE)", &[&name]);
                let _ = session.run(&sql).await;
            }
        });
    }
}
