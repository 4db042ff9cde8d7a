//! pgBackRest, driven end to end: back to just before a bad migration, and damage that it does not own up to.

use std::fs;
use std::path::{Path, PathBuf};

use af_db::event::silent;
use af_db::pg::child_server::ShutdownMode;
use af_db::pg::connect;
use af_db::pg::embedded::cluster::{self, Cluster, Start};
use af_db::pg::embedded::privileges::{self, User};
use af_db::pg::embedded::{self, ChosenPrograms};
use af_db::pg::program::{Program, ProgramOutput};
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

use crate::support::{packages, server};

/// A cluster that archives its WAL into a repository, and a project that manages a database of it.
struct Site {
    folder: tempfile::TempDir,
    choice: ChosenPrograms,
    cluster: Cluster,
    target: Target,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("af-db-site-")
            .tempdir_in("/var/tmp")
            .expect("a folder");
        let choice = embedded::resolve(&server::options(), &silent)
            .await
            .expect("a PostgreSQL to test with");
        let user = choice.user.clone();
        for name in ["", "repository", "sockets", "lock"] {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).expect("a folder");
            privileges::give(&path, user.as_ref()).expect("a folder to give away");
        }
        let data = folder.path().join("data");
        run(
            Program::new(choice.binaries.program("initdb"))
                .args(["-A", "trust", "-U", "postgres", "-N", "-D"])
                .arg(&data),
            user.as_ref(),
        )
        .await;
        let program = packages::pgbackrest();
        let root = folder.path().display();
        let config = format!(
            "[global]\nrepo1-path={root}/repository\nlog-level-file=off\nlock-path={root}/lock\nstart-fast=y\n\
             compress-type=gz\nrepo1-retention-full=2\n\n[main]\npg1-path={root}/data\npg1-port=5432\npg1-socket-path={root}/sockets\npg1-user=postgres\n"
        );
        fs::write(folder.path().join("pgbackrest.conf"), config).expect("a file");
        let mut settings = vec![
            "archive_mode=on".to_owned(),
            format!(
                "archive_command='{}' --config='{root}/pgbackrest.conf' --stanza=main archive-push %p",
                program.display()
            ),
            "wal_level=replica".to_owned(),
            "max_wal_senders=3".to_owned(),
            "max_connections=137".to_owned(),
            "listen_addresses=".to_owned(),
            "port=5432".to_owned(),
            "fsync=off".to_owned(),
        ];
        let sockets = folder.path().join("sockets");
        let target = cluster::private_address(&sockets, &mut settings).expect("an address");
        let cluster = start(&choice, &data, &sockets, &settings).await;
        let site = Site {
            target: target.with_database("postgres"),
            folder,
            choice,
            cluster,
        };
        site.pgbackrest(&["stanza-create"]).await;
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn pgbackrest(&self, arguments: &[&str]) -> ProgramOutput {
        let config = format!("--config={}", self.path("pgbackrest.conf").display());
        let tool = Program::new(packages::pgbackrest())
            .args([config.as_str(), "--stanza=main"])
            .args(arguments);
        run(tool, self.choice.user.as_ref()).await
    }

    async fn sql(&self, sql: &str) -> Vec<Vec<String>> {
        let session = connect::open(&self.target, &silent)
            .await
            .expect("a session");
        server::rows(&session, sql).await
    }

    fn migration(&self, name: &str, text: &str) {
        let folder = self.path("migrations");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), text).expect("a file");
    }

    /// Runs the program in the project and gives how it ended.
    async fn af_db(&self, arguments: &[&str]) -> ProgramOutput {
        let url = format!(
            "host='{}' user=postgres dbname=postgres sslmode=disable",
            self.path("sockets").display()
        );
        let programs = packages::pgbackrest();
        let programs = programs.parent().expect("a folder").display().to_string();
        Program::new(env!("CARGO_BIN_EXE_af-db"))
            .args(arguments)
            .args(["--database-url", &url])
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("HOME", self.folder.path())
            .directory(self.folder.path())
            .run()
            .await
            .expect("the program")
    }

    async fn engine(&self, command: &[&str], more: &[&str]) -> ProgramOutput {
        let config = self.path("pgbackrest.conf").display().to_string();
        let engine = ["--engine", "pgbackrest", "--pgbackrest-config", &config];
        let all: Vec<&str> = [command, &engine, more].concat();
        self.af_db(&all).await
    }

    async fn doctor_says(&self, words: &str) {
        let told = self.af_db(&["doctor"]).await.text();
        assert!(told.contains(words), "{told}");
    }

    /// Waits until the log up to now lies in the repository.
    async fn archived(&self) {
        let segment = self
            .sql("SELECT pg_walfile_name(pg_switch_wal())")
            .await
            .remove(0)
            .remove(0);
        let question =
            format!("SELECT coalesce(last_archived_wal, '') >= '{segment}' FROM pg_stat_archiver");
        while self.sql(&question).await != [["t"]] {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

async fn run(tool: Program, user: Option<&User>) -> ProgramOutput {
    let done = tool.user(user).run().await.expect("a program");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        done.stderr
    );
    done
}

async fn start(
    choice: &ChosenPrograms,
    data: &Path,
    sockets: &Path,
    settings: &[String],
) -> Cluster {
    let start = Start {
        sandbox: None,
        data,
        sockets: Some(sockets),
        log: &sockets.join("log"),
        settings,
        on_our_death: ShutdownMode::Immediate,
    };
    Cluster::start(choice, &start).await.expect("a cluster")
}

const COUNT: &str = "SELECT count(*), sum(length(name)) FROM clients";

#[tokio::test]
async fn a_cluster_is_restored_to_before_a_run() {
    let mut site = Site::new().await;
    site.migration(
        "V1__clients.sql",
        "CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL);",
    );
    let done = site.af_db(&["up"]).await;
    assert!(done.status.success(), "{}", done.stderr);
    site.sql("INSERT INTO clients SELECT n, 'client ' || n FROM generate_series(1, 1000) AS n")
        .await;
    site.doctor_says("stanza `main` has no backup to restore")
        .await;
    let done = site.engine(&["backup"], &["--type", "full"]).await;
    assert!(done.status.success(), "{}", done.stderr);
    site.doctor_says("stanza `main`: newest backup ").await;
    assert!(
        done.text().contains("created in stanza "),
        "{}",
        done.text()
    );
    // What came after the backup and before the migration must be there again.
    site.sql("INSERT INTO clients SELECT n, 'later ' || n FROM generate_series(1001, 1500) AS n")
        .await;
    let before = site.sql(COUNT).await;
    site.migration(
        "V2__tidy_up.sql",
        "UPDATE clients SET name = 'x'; ALTER TABLE clients ADD COLUMN nonsense int; DELETE FROM clients WHERE id % 2 = 0;",
    );
    let done = site.af_db(&["up"]).await;
    assert!(done.status.success(), "{}", done.stderr);
    // A later backup must not lead the search astray, nor later traffic.
    let done = site.engine(&["backup"], &[]).await;
    assert!(done.status.success(), "{}", done.stderr);
    site.sql("INSERT INTO clients (id, name) VALUES (9999, 'after')")
        .await;
    site.archived().await;
    let run = site
        .sql("SELECT run FROM af_db.journal WHERE version = 2")
        .await
        .remove(0)
        .remove(0);

    let drill = site
        .engine(&["restore", "--drill"], &["--before-run", &run])
        .await;
    assert!(drill.status.success(), "{}", drill.stderr);
    let data = site.path("restored");
    let place = data.display().to_string();
    let done = site
        .engine(
            &["restore"],
            &["--before-run", &run[..run.len() - 1], "--data-dir", &place],
        )
        .await;
    assert!(done.status.success(), "{}", done.stderr);
    let again = site
        .engine(&["restore"], &["--before-run", &run, "--data-dir", &place])
        .await;
    assert_eq!(again.status.code(), Some(4), "{}", again.stderr);
    assert!(
        again.stderr.contains("is not empty; nothing was restored"),
        "{}",
        again.stderr
    );

    site.cluster.stop(ShutdownMode::Fast);
    let sockets = site.path("sockets");
    let settings = [
        "archive_mode=off",
        "listen_addresses=",
        "port=5432",
        "max_connections=137",
    ]
    .map(str::to_owned);
    let mut restored = start(&site.choice, &data, &sockets, &settings).await;
    assert_eq!(site.sql(COUNT).await, before);
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'clients'::regclass AND attname = 'nonsense'";
    assert_eq!(site.sql(columns).await, [["0"]]);
    let known = format!("SELECT count(*) FROM af_db.journal WHERE run = '{run}'");
    assert_eq!(site.sql(&known).await, [["0"]]);
    // It is a cluster of its own, and can be written to.
    site.sql("INSERT INTO clients (id, name) VALUES (9999, 'again')")
        .await;
    restored.stop(ShutdownMode::Fast);
}

#[tokio::test]
async fn damage_that_pgbackrest_does_not_report_is_found() {
    let site = Site::new().await;
    let done = site.engine(&["backup"], &["--type", "full"]).await;
    assert!(done.status.success(), "{}", done.stderr);
    for number in 0..4 {
        let session = connect::open(&site.target, &silent)
            .await
            .expect("a session");
        let table = Sql::written_by_user(format!("CREATE TABLE t{number} ()"));
        session.run(&table).await.expect("a table");
        site.archived().await;
    }
    let verify = async || site.engine(&["backup", "verify"], &[]).await;
    let whole = verify().await;
    assert!(whole.status.success(), "{}{}", whole.text(), whole.stderr);

    let log = walk(&site.path("repository/archive"));
    let segments: Vec<&PathBuf> = log
        .iter()
        .filter(|path| path.to_string_lossy().ends_with(".gz"))
        .collect();
    let lost = segments[segments.len() - 2];
    let kept = fs::read(lost).expect("a segment");
    fs::remove_file(lost).expect("a hole");
    let hole = verify().await;
    assert_eq!(hole.status.code(), Some(1), "{}", hole.stderr);
    assert!(
        hole.text().contains("1 WAL files are missing between"),
        "{}",
        hole.text()
    );
    fs::write(lost, kept).expect("the segment again");
    privileges::give(lost, site.choice.user.as_ref()).expect("the segment again");

    let backups = walk(&site.path("repository/backup"));
    let file = backups
        .iter()
        .filter(|path| {
            path.to_string_lossy().contains("/base/")
                && path.extension().is_some_and(|end| end == "gz")
        })
        .max_by_key(|path| fs::metadata(path).map_or(0, |found| found.len()))
        .expect("a file of a table");
    let mut bytes = fs::read(file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("a flipped bit");
    assert_eq!(
        site.pgbackrest(&["verify"]).await.status.code(),
        Some(0),
        "it says nothing itself"
    );
    let flipped = verify().await;
    assert_eq!(flipped.status.code(), Some(1), "{}", flipped.stderr);
    assert!(
        flipped.text().contains("checksum invalid: 1"),
        "{}",
        flipped.text()
    );
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
