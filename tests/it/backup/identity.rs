//! Archives belong to a database, not to its name: two of one name in one store never get in each other's way.

use std::path::{Path, PathBuf};

use af_db::backup::archive::Archive;
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Server};
use crate::support::tcp_server::TcpServer;

/// A project that manages a database `app` of a server, in which everything is marked as of that one.
struct App {
    target: Target,
    project: Project,
}

impl App {
    async fn new(server: &Server, mark: &str) -> Self {
        let admin = server.scratch.target("postgres").expect("a server");
        App::on(&admin, mark).await
    }

    async fn on(admin: &Target, mark: &str) -> Self {
        let app = App::named(admin, "app").await;
        app.run(&format!("CREATE TABLE mark AS SELECT '{mark}'::text AS of"))
            .await;
        app
    }

    async fn named(admin: &Target, name: &str) -> Self {
        run(
            admin,
            &format!("CREATE DATABASE \"{name}\" TEMPLATE template0"),
        )
        .await;
        let target = admin.with_database(name);
        App {
            project: Project::of(&target),
            target,
        }
    }

    /// Keeps its archives in this folder.
    fn at(self, store: &Path) -> Self {
        let text = format!("backup: {{ store: \"{}\" }}\n", store.display());
        self.project.write("af-db.yaml", text);
        self
    }

    async fn run(&self, sql: &str) {
        run(&self.target, sql).await;
    }

    async fn mark(&self) -> String {
        let session = af_db::pg::connect::open(&self.target, &af_db::event::silent)
            .await
            .expect("a session");
        let rows = server::rows(&session, "SELECT of FROM public.mark").await;
        session.close().await;
        rows[0][0].clone()
    }

    /// Makes an archive and gives its name; another of the same second has to pass first.
    async fn backup(&self) -> String {
        loop {
            let ran = self.project.run(&["backup", "--json"]).await;
            if ran.status == 0 {
                let name = ran.json()["archive"]["name"].clone();
                let name = name.as_str().expect("a name").to_owned();
                return name.replace("DATABASE", self.target.database());
            }
            assert!(ran.stderr.contains("already"), "{}", ran.seen());
        }
    }
}

async fn run(target: &Target, sql: &str) {
    let session = af_db::pg::connect::open(target, &af_db::event::silent)
        .await
        .expect("a session");
    let done = session.run(&Sql::written_by_user(sql)).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error:#}"));
    session.close().await;
}

fn archives(store: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(store).expect("a store");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an archive")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn failed(ran: &CommandOutput, status: i32) -> &str {
    assert_eq!(ran.status, status, "{}", ran.seen());
    let from = ran.stderr.find("error: ").unwrap_or_default();
    &ran.stderr[from..]
}

#[tokio::test]
async fn two_servers_sharing_a_store_never_mix_archives() {
    // Servers of one template have the same number; this one was born by itself.
    let (one, other) = (
        server::own(None).await,
        TcpServer::with_own_identity().await,
    );
    let other = other.start().await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let mine = App::new(&one, "mine").await.at(&store);
    let theirs = App::on(&other.socket().with_database("postgres"), "theirs")
        .await
        .at(&store);
    let first = mine.backup().await;
    let second = theirs.backup().await;

    // Not pruned for the sake of the other, and not the latest of the other.
    mine.project
        .run(&["backup", "prune", "--keep", "1", "--yes"])
        .await
        .ok();
    assert_eq!(archives(&store), [first.clone(), second.clone()]);
    mine.run("UPDATE mark SET of = 'changed'").await;
    mine.project.run(&["restore", "--swap", "--yes"]).await.ok();
    assert_eq!(mine.mark().await, "mine");
    std::fs::remove_dir_all(store.join(&first)).unwrap();
    for latest in [
        &["restore", "--swap", "--yes"][..],
        &["restore", "--to-history", "1"],
        &["restore", "--drill"],
        &["backup", "verify"],
    ] {
        let ran = mine.project.run(latest).await;
        assert_eq!(ran.status, 2, "{latest:?} {}", ran.seen());
    }
    assert_eq!(mine.mark().await, "mine");

    // Named, it is meant; it is said whose it is, and asked.
    let named = second.as_str();
    let ran = mine.project.run(&["restore", "--swap", named]).await;
    assert!(
        failed(&ran, 4).contains("made from another database (`DATABASE` on another server)"),
        "{}",
        ran.seen()
    );
    assert_eq!(mine.mark().await, "mine");
    mine.project
        .run(&["restore", "--swap", "--yes", named])
        .await
        .ok();
    assert_eq!(mine.mark().await, "theirs");
}

#[tokio::test]
async fn a_restored_database_keeps_its_archives_and_a_recreated_one_does_not() {
    let server = server::own(None).await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let app = App::new(&server, "first").await.at(&store);
    let first = app.backup().await;
    // Restored in place, backed up and pruned: all of it is one database.
    app.project.run(&["restore", "--swap", "--yes"]).await.ok();
    app.project.run(&["backup", "verify"]).await.ok();
    let second = app.backup().await;
    app.project
        .run(&["restore", "--swap", "--yes", "--", &first])
        .await
        .ok();
    let third = app.backup().await;
    app.project
        .run(&["backup", "prune", "--keep", "2", "--yes"])
        .await
        .ok();
    let kept = archives(&store);
    assert!(!kept.contains(&first) || kept.len() == 3, "{kept:?}");
    assert!(kept.contains(&second) && kept.contains(&third), "{kept:?}");
    app.project.run(&["restore", "--swap", "--yes"]).await.ok();

    // One that was lost comes back as the latest, and goes on having its archives.
    let admin = app.target.with_database("postgres");
    run(&admin, "DROP DATABASE app").await;
    app.project.run(&["restore"]).await.ok();
    assert_eq!(app.mark().await, "first");
    app.project.run(&["restore", "--swap", "--yes"]).await.ok();

    // Another of the same name is another.
    run(&admin, "DROP DATABASE app").await;
    run(&admin, "CREATE DATABASE app TEMPLATE template0").await;
    app.run("CREATE TABLE mark AS SELECT 'second'::text AS of")
        .await;
    let ran = app.project.run(&["restore", "--swap", "--yes"]).await;
    assert!(
        failed(&ran, 2).contains("belong to a different database of the same name"),
        "{}",
        ran.seen()
    );
    let ran = app.project.run(&["restore", "--swap", &third]).await;
    assert!(
        failed(&ran, 4).contains("(`DATABASE` on this server)"),
        "{}",
        ran.seen()
    );
    assert_eq!(app.mark().await, "second");
    app.project.write(
        "af-db.yaml",
        format!(
            "backup: {{ store: \"{}\" }}\nenvironments: {{ live: {{ url: \"${{DATABASE_URL}}\", require: [verified-backup-within 24h] }} }}\n",
            store.display()
        ),
    );
    app.project
        .write("migrations/V1__one.sql", "CREATE TABLE one (id int);\n");
    let ran = app.project.run(&["up", "--env", "live"]).await;
    assert!(
        ran.seen().contains("no verified backup of this database"),
        "{}",
        ran.seen()
    );
}

/// Writes another time into an archive, checksum and all.
fn begun(store: &Path, name: &str, started: &str) {
    let path = store.join(name).join("archive.json");
    let mut archive =
        Archive::from_json(name, &std::fs::read(&path).expect("it works")).expect("it works");
    archive.started = started.to_owned();
    std::fs::write(path, archive.to_json().expect("it works")).expect("it works");
}

#[tokio::test]
async fn an_archive_from_the_future_is_reported_and_never_latest() {
    let server = server::own(None).await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let app = App::new(&server, "early").await.at(&store);
    let first = app.backup().await;
    app.run("UPDATE mark SET of = 'late'").await;
    let late = app.backup().await;
    begun(&store, &late, "2131-01-01T00:00:00Z");
    let listed = app.project.run(&["backup", "list", "--json"]).await;
    assert_eq!(
        listed.json()["findings"][0]["code"],
        "archive-from-the-future"
    );
    app.project
        .run(&["backup", "prune", "--keep", "1", "--yes"])
        .await
        .ok();
    assert_eq!(archives(&store), [first.clone(), late.clone()]);
    app.project.run(&["restore", "--into", "beside"]).await.ok();
    std::fs::rename(store.join(&first), folder.path().join("away")).unwrap();
    let ran = app.project.run(&["restore", "--swap", "--yes"]).await;
    assert!(
        failed(&ran, 2).contains("has a time in the future"),
        "{}",
        ran.seen()
    );
    app.project
        .run(&["restore", "--swap", "--yes", &late])
        .await
        .ok();
    assert_eq!(app.mark().await, "late");
}

#[tokio::test]
async fn an_archive_is_found_by_its_path() {
    let server = server::own(None).await;
    let app = App::new(&server, "default").await;
    let name = app.backup().await;
    app.run("UPDATE mark SET of = 'elsewhere'").await;
    let later = app.backup().await;
    let root = app.project.folder.path().to_owned();
    let other = root.join("other/store");
    std::fs::create_dir_all(&other).unwrap();
    // A namesake in another store.
    std::fs::rename(root.join("backups").join(&later), other.join(&name)).unwrap();
    let absolute = other.join(&name).display().to_string();
    let url = format!("file://{absolute}");
    let relative = format!("other/store/{name}");
    let slashed = format!("./other/store/{name}//");
    let description = format!("{absolute}/archive.json");
    let default = format!("backups/{name}");
    for (number, (named, mark)) in [
        (&absolute, "elsewhere"),
        (&url, "elsewhere"),
        (&relative, "elsewhere"),
        (&slashed, "elsewhere"),
        (&description, "elsewhere"),
        (&default, "default"),
        (&name, "default"),
    ]
    .into_iter()
    .enumerate()
    {
        let into = format!("into_{number}");
        app.project
            .run(&["restore", named, "--into", &into])
            .await
            .ok();
        let restored = App {
            target: app.target.with_database(&into),
            project: Project::without_database(),
        };
        assert_eq!(restored.mark().await, mark, "{named}");
    }
    app.project.run(&["backup", "verify", &relative]).await.ok();
    app.project
        .run(&["backup", "verify", &relative, "--from", "other/store"])
        .await
        .ok();
    let ran = app
        .project
        .run(&["backup", "verify", &relative, "--from", "backups"])
        .await;
    assert!(
        failed(&ran, 2).contains("name different stores"),
        "{}",
        ran.seen()
    );
    let ran = app
        .project
        .run(&["restore", "nowhere/at/all", "--into", "x"])
        .await;
    assert!(
        failed(&ran, 2).contains("no backup `all`"),
        "{}",
        ran.seen()
    );
}

#[tokio::test]
async fn databases_with_names_like_flags_are_backed_up_and_restored() {
    let server = server::own(None).await;
    let admin = server.scratch.target("postgres").unwrap();
    for name in ["-x", "--help", ".."] {
        let app = App::named(&admin, name).await;
        app.run("CREATE TABLE mark AS SELECT 'kept'::text AS of")
            .await;
        app.project.write(
            "af-db.yaml",
            "environments: { live: { url: \"${DATABASE_URL}\", require: [verified-backup-within 24h] } }\n",
        );
        let env = ["--env", "live"];
        let ran = app
            .project
            .run(&[&["backup"][..], &env].concat())
            .await
            .ok();
        let tried = ran
            .stdout
            .lines()
            .find_map(|line| line.split_once("test the restore: "));
        let (_, command) = tried.expect("a command to try it");
        app.project.paste(command).await.ok();
        app.project
            .write("migrations/V1__lost.sql", "UPDATE mark SET of = 'lost';\n");
        let ran = app
            .project
            .run(&[&["up", "--json"][..], &env].concat())
            .await
            .ok();
        assert_eq!(app.mark().await, "lost");
        let undo = ran
            .stderr
            .split_once("to restore the last verified backup: ")
            .expect("a command that restores")
            .1;
        let undo = undo.lines().next().expect("a command").trim().to_owned();
        // The environment asks for typed words; without it the same command is answered by --yes.
        let undo = undo
            .replace("--env=live", "--yes")
            .replace("PROJECT", &app.project.folder.path().display().to_string());
        app.project.write("af-db.yaml", "");
        app.project.paste(&undo).await.ok();
        assert_eq!(app.mark().await, "kept", "{name}: {undo}");
    }
}

#[tokio::test]
async fn leftovers_of_a_killed_restore_are_reported_until_removed() {
    let server = server::own(None).await;
    let app = App::new(&server, "mine").await;
    app.backup().await;
    let admin = app.target.with_database("postgres");
    let left = "app_restoring_20260102t030405";
    run(
        &admin,
        &format!("CREATE DATABASE {left} TEMPLATE template0 CONNECTION LIMIT 32101"),
    )
    .await;
    let partial: PathBuf = app
        .project
        .folder
        .path()
        .join("backups/app-20260102T030405Z.partial");
    std::fs::create_dir(&partial).unwrap();
    std::fs::write(partial.join(".lock"), "").unwrap();
    let told = app.project.run(&["doctor"]).await;
    let told = told.stdout.replace("DATABASE", "app");
    assert!(
        told.contains(left) && told.contains("app-20260102T030405Z.partial"),
        "{told}"
    );
    let told = app.project.run(&["status", "--check"]).await.ok();
    assert!(
        told.seen().replace("DATABASE", "app").contains(left),
        "{}",
        told.seen()
    );
    let told = app.project.run(&["restore", "--into", "beside"]).await.ok();
    let said = told.stderr.replace("DATABASE", "app");
    assert!(said.contains(&format!("removed `{left}`")), "{said}");
    app.backup().await;
    let told = app.project.run(&["doctor"]).await;
    assert!(!told.stdout.contains("interrupted"), "{}", told.seen());
}

#[tokio::test]
async fn a_running_restore_is_not_reported_as_a_leftover() {
    let server = server::own(None).await;
    let app = App::new(&server, "mine").await;
    let admin = app.target.with_database("postgres");
    let building = "app_restoring_20260102t030405";
    run(
        &admin,
        &format!("CREATE DATABASE {building} TEMPLATE template0 CONNECTION LIMIT 32101"),
    )
    .await;
    let restore = af_db::pg::connect::open(&admin, &af_db::event::silent)
        .await
        .expect("a session");
    // The lock that every restore holds while it works.
    restore
        .query_one(
            "SELECT pg_advisory_lock_shared(x'6166646272657374'::bigint)",
            &[],
        )
        .await
        .unwrap();
    for command in ["status", "doctor"] {
        let seen = app.project.run(&[command]).await.seen();
        assert!(!seen.contains("restoring"), "{seen}");
    }
    restore.close().await;
    for command in ["status", "doctor"] {
        let seen = app.project.run(&[command]).await.seen();
        assert!(seen.contains("restoring"), "{seen}");
    }
}

#[tokio::test]
async fn restores_in_the_same_second_do_not_collide() {
    let server = server::own(None).await;
    let folder = tempfile::tempdir().unwrap();
    let app = App::new(&server, "mine")
        .await
        .at(&folder.path().join("store"));
    app.backup().await;
    let now = chrono::Utc::now();
    for second in 0..3 {
        let stamp = (now + chrono::TimeDelta::seconds(second)).format("%Y%m%dt%H%M%S");
        run(
            &app.target,
            &format!("CREATE DATABASE app_before_{stamp} TEMPLATE template0"),
        )
        .await;
    }
    app.project.run(&["restore", "--swap", "--yes"]).await.ok();
    assert_eq!(app.mark().await, "mine");
}
