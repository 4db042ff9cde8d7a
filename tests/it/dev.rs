//! The development server: it outlives its starter, and leaves nothing behind when stopped.

use std::path::Path;
use std::time::Duration;

use af_db::error::hint_of;
use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::dev::{self, ServerDir, SupervisorCommand};
use af_db::pg::embedded::file_lock;
use tempfile::TempDir;

use crate::support::server::rows;

/// A project whose development server is stopped with it.
struct Project {
    folder: TempDir,
    place: ServerDir,
    idle: &'static str,
}

impl Project {
    fn new() -> Self {
        // The server's user must be able to enter when the tests run as root.
        let folder = tempfile::Builder::new()
            .prefix("af-db-dev-test-")
            .tempdir_in("/var/tmp")
            .expect("a folder");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.path(), open).expect("an open folder");
        }
        let place = ServerDir::at(folder.path().join("dev"));
        Project {
            folder,
            place,
            idle: "1h",
        }
    }

    fn again(&self) -> SupervisorCommand {
        let mut arguments: Vec<std::ffi::OsString> = vec!["dev".into(), "supervise".into()];
        arguments.push("--place".into());
        arguments.push(self.place.directory.clone().into());
        arguments.push("--idle".into());
        arguments.push(self.idle.into());
        SupervisorCommand {
            program: env!("CARGO_BIN_EXE_af-db").into(),
            arguments,
            directory: self.folder.path().to_owned(),
        }
    }

    async fn start(&self) -> dev::RunningServer {
        dev::start(&self.place, &self.again(), &silent)
            .await
            .expect("a development server")
    }

    async fn ask(&self, running: &dev::RunningServer, sql: &str) -> String {
        let session = connect::open(&running.target, &silent)
            .await
            .expect("a session");
        let mut rows = rows(&session, sql).await;
        rows.remove(0).remove(0)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let place = self.place.clone();
        let stop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(dev::stop(&place))
        };
        // A failed test has already reported its error.
        let _ = std::thread::spawn(stop).join();
    }
}

/// Waits until a condition holds, which must be soon.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let soon = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < soon, "{what}");
        tokio::task::yield_now().await;
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a running process");
}

/// Finds the supervisor of a server directory by its arguments.
fn supervisor(place: &ServerDir) -> u32 {
    let wanted = place.directory.to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .expect("processes")
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .find(|pid: &u32| {
            let words = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
            let words = String::from_utf8_lossy(&words.unwrap_or_default()).into_owned();
            words.split('\0').any(|word| word == "supervise")
                && words.split('\0').any(|word| word == wanted)
        })
        .expect("a supervisor")
}

#[tokio::test]
async fn the_server_persists_with_its_data() {
    let project = Project::new();
    assert!(dev::status(&project.place).unwrap().is_none());
    let first = project.start().await;
    assert!(first.fresh && !first.found);
    project
        .ask(&first, "CREATE TABLE kept (id int); SELECT 1")
        .await;
    let again = project.start().await;
    assert!(again.found);
    assert_eq!(again.access.url(), first.access.url());
    assert!(dev::stop(&project.place).await.unwrap());
    assert!(!dev::stop(&project.place).await.unwrap());
    assert!(dev::status(&project.place).unwrap().is_none());
    assert_eq!(file_lock::running_server(&project.place.data()), None);
    let second = project.start().await;
    assert!(!second.fresh && !second.found);
    assert_eq!(project.ask(&second, "SELECT count(*) FROM kept").await, "0");
    dev::reset(&project.place).await.unwrap();
    let empty = project.start().await;
    assert!(empty.fresh);
    assert_eq!(
        project
            .ask(&empty, "SELECT coalesce(to_regclass('kept')::text, 'none')")
            .await,
        "none"
    );
}

#[tokio::test]
async fn a_password_is_required_and_stored_privately() {
    let project = Project::new();
    let running = project.start().await;
    let wrong = running
        .access
        .url()
        .replace(&running.access.password, "wrong");
    let wrong = af_db::pg::target::Target::parse(&wrong).unwrap();
    assert!(connect::open(&wrong, &silent).await.is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = project.place.directory.join("access.json");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn concurrent_starts_share_one_server() {
    let project = Project::new();
    let again = project.again();
    let starters = (0..4).map(|_| dev::start(&project.place, &again, &silent));
    let started = futures_util::future::join_all(starters).await;
    let urls: Vec<String> = started
        .into_iter()
        .map(|it| it.unwrap().access.url())
        .collect();
    assert!(urls.iter().all(|url| *url == urls[0]), "{urls:?}");
}

#[tokio::test]
async fn the_server_ends_with_its_supervisor_and_restarts() {
    let project = Project::new();
    let running = project.start().await;
    project
        .ask(&running, "CREATE TABLE kept (id int); SELECT 1")
        .await;
    kill(supervisor(&project.place));
    until("the server outlived its supervisor", || {
        file_lock::running_server(&project.place.data()).is_none()
    })
    .await;
    let again = project.start().await;
    assert_eq!(project.ask(&again, "SELECT count(*) FROM kept").await, "0");
}

#[tokio::test]
async fn a_killed_server_ends_its_supervisor_and_starts_again() {
    let project = Project::new();
    let running = project.start().await;
    project
        .ask(&running, "CREATE TABLE kept (id int); SELECT 1")
        .await;
    kill(file_lock::running_server(&project.place.data()).unwrap());
    until("the supervisor outlived its server", || {
        dev::status(&project.place).unwrap().is_none()
    })
    .await;
    let again = project.start().await;
    assert_eq!(project.ask(&again, "SELECT count(*) FROM kept").await, "0");
}

#[tokio::test]
async fn an_idle_server_stops() {
    let mut project = Project::new();
    project.idle = "10ms";
    project.start().await;
    until("it did not stop by itself", || {
        dev::status(&project.place).unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn data_of_a_missing_major_version_is_reported() {
    let project = Project::new();
    std::fs::create_dir_all(project.place.data()).unwrap();
    std::fs::write(project.place.data().join("PG_VERSION"), "13\n").unwrap();
    let error = dev::start(&project.place, &project.again(), &silent)
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(
            "the development server's data is of PostgreSQL 13: PostgreSQL 13 is not installed"
        ),
        "{message}"
    );
    assert!(hint_of(&error).unwrap().contains("af-db dev reset"));
}
