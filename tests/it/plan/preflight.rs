//! The look before a run: what blocks, what is only worth knowing, and what a role is not shown.

use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

use super::{applied, plan, project};
use crate::support::project::CommandOutput;
use crate::support::server;

fn state(ran: &CommandOutput, name: &str) -> (String, String) {
    let document = ran.json();
    let checks = document["checks"].as_array().expect("checks").clone();
    let check = checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no check {name}"));
    let seen = check["seen"].as_array().expect("lines").iter();
    let seen: Vec<&str> = seen.filter_map(|line| line.as_str()).collect();
    let state = check["state"].as_str().expect("a state").to_owned();
    (state, seen.join("; "))
}

#[tokio::test]
async fn preflight_passes_on_a_quiet_database() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    plan(&project, "staging").await;
    let ran = project
        .run(&[
            "preflight",
            "--env",
            "staging",
            "--plan",
            "plan.json",
            "--json",
        ])
        .await
        .ok();
    for name in [
        "writable",
        "ownership",
        "schemas",
        "prepared-transactions",
        "lock-waiters",
        "vacuum",
        "wraparound",
        "archiver",
        "connections",
        "drift",
    ] {
        assert_eq!(state(&ran, name).0, "ok", "{name}: {}", ran.stdout);
    }
    assert!(
        state(&ran, "sizes").1.starts_with("public.a: "),
        "{}",
        ran.stdout
    );
    assert_eq!(state(&ran, "backup").0, "warning");
    assert_eq!(applied(&database).await, "1");
    let seen = project.run(&["preflight", "--env", "staging"]).await.ok();
    assert!(
        seen.stdout.contains("the server accepts writes"),
        "{}",
        seen.stdout
    );
}

#[tokio::test]
async fn preflight_errors_are_reported() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = project(
        &database.target,
        "protected: false, require: [verified-backup-within 1h]",
    )
    .await;
    project.write(
        "af-db.yaml",
        "environments:\n  staging: { url: \"${DATABASE_URL}\", require: [verified-backup-within 1h] }\n\
         preflight: { commands: [\"echo fine\", \"echo odd; exit 1\", \"echo disk is full >&2; exit 2\"] }\n",
    );
    database
        .run("CREATE TABLE dup (id int); INSERT INTO dup VALUES (1), (1); ALTER TABLE dup ADD CONSTRAINT later CHECK (id > 1) NOT VALID")
        .await;
    let session = database.session().await;
    let broken = Sql::new("CREATE UNIQUE INDEX CONCURRENTLY dup_id ON dup (id)");
    session.run(&broken).await.unwrap_err();
    let waiting = (database.session().await, database.session().await);
    waiting
        .0
        .run(&Sql::new("BEGIN; LOCK TABLE a"))
        .await
        .unwrap();
    let wait = tokio::spawn(async move { waiting.1.run(&Sql::new("SELECT FROM a")).await });
    until(
        &database.target,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)",
    )
    .await;
    let ran = project
        .run(&["preflight", "--env", "staging", "--json"])
        .await;
    waiting.0.run(&Sql::new("COMMIT")).await.unwrap();
    wait.await.unwrap().unwrap();
    assert_eq!(ran.status, 1, "{}", ran.seen());
    let mut said = String::new();
    for name in [
        "lock-waiters",
        "invalid-indexes",
        "unvalidated-constraints",
        "backup",
    ] {
        let (state, seen) = state(&ran, name);
        said.push_str(&format!("{name} {state}: {seen}\n"));
    }
    for check in ran.json()["checks"].as_array().unwrap() {
        if check["name"] == "command" {
            said.push_str(&format!("command {}: {}\n", check["state"], check["seen"]));
        }
    }
    insta::assert_snapshot!(said, @r#"
    lock-waiters warning: public.a: sessions waiting for a lock: 1
    invalid-indexes warning: public.dup_id: index of public.dup is invalid: maintained by writes, but not used by queries
    unvalidated-constraints ok: later on public.dup: the constraint is not validated; existing rows may violate it
    backup blocking: no verified backup of this database found
    command "ok": ["`echo fine`: fine"]
    command "warning": ["`echo odd; exit 1`: odd"]
    command "blocking": ["`echo disk is full >&2; exit 2`: disk is full"]
    "#);
}

/// Waits until a question is answered with yes.
async fn until(target: &Target, question: &'static str) {
    let session = af_db::pg::connect::open(target, &af_db::event::silent)
        .await
        .expect("a session");
    for _ in 0..2000 {
        if server::rows(&session, question).await == [["t"]] {
            return;
        }
    }
    panic!("never: {question}");
}

#[tokio::test]
async fn missing_monitoring_privileges_are_reported() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = project(&database.target, "protected: false").await;
    database.run("CREATE ROLE plain LOGIN").await;
    let plain = crate::support::project::Project::of(&database.target.with_user("plain"));
    for file in ["af-db.yaml", "migrations/V1__a.sql"] {
        plain.write(
            file,
            std::fs::read(project.folder.path().join(file)).unwrap(),
        );
    }
    let ran = plain
        .run(&["preflight", "--env", "staging", "--json"])
        .await;
    for name in ["long-transactions", "lock-holders", "replicas"] {
        assert_eq!(state(&ran, name).0, "cannot-see", "{name}: {}", ran.stdout);
    }
    assert_eq!(state(&ran, "ownership").0, "blocking", "{}", ran.stdout);
    assert_eq!(ran.status, 1);
}

#[tokio::test]
async fn a_change_since_the_last_run_is_noticed() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    plan(&project, "staging").await;
    let look = ["preflight", "--env", "staging", "--json"];
    assert_eq!(state(&project.run(&look).await, "drift").0, "cannot-see");
    project
        .run(&["up", "--env", "staging", "--plan", "plan.json"])
        .await
        .ok();
    assert_eq!(state(&project.run(&look).await, "drift").0, "ok");
    database.run("CREATE TABLE beside (id int)").await;
    assert_eq!(state(&project.run(&look).await, "drift").0, "warning");
}

#[tokio::test]
async fn a_right_that_the_pending_steps_need_and_the_role_lacks_blocks() {
    use crate::support::project::Project;
    let server = server::own(None).await;
    let database = server.database().await;
    database
        .run(
            "CREATE ROLE plain LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE SCHEMA mine AUTHORIZATION plain;
             CREATE TABLE mine.t (a int); ALTER TABLE mine.t OWNER TO plain; ALTER TABLE mine.t ENABLE ROW LEVEL SECURITY;
             CREATE TABLE mine.forced (a int); ALTER TABLE mine.forced OWNER TO plain; ALTER TABLE mine.forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE SCHEMA af_db AUTHORIZATION plain; CREATE TABLE af_db.journal (id int); ALTER TABLE af_db.journal OWNER TO plain",
        )
        .await;
    let cases = [
        (
            "CREATE TABLE t (a int)",
            Some("public: the role has no CREATE privilege on this schema"),
        ),
        ("CREATE VIEW public.v AS SELECT 1", Some("public: ")),
        ("CREATE TABLE mine.t2 (a int)", None),
        ("CREATE TEMP TABLE x (a int)", None),
        (
            "CREATE SCHEMA other; CREATE TABLE other.t (a int)",
            Some("the role has no CREATE privilege on the database"),
        ),
        (
            "CREATE EXTENSION pgcrypto",
            Some("the role has no CREATE privilege on the database"),
        ),
        ("CREATE ROLE r", Some("CREATEROLE")),
        (
            "UPDATE mine.forced SET a = 1",
            Some("mine.forced: the pending steps write rows"),
        ),
        ("UPDATE mine.t SET a = 1", None),
    ];
    for (sql, expected) in cases {
        let project = Project::of(&database.target.with_user("plain"));
        project.write(
            "af-db.yaml",
            "schemas: [mine]\nmigrations: { history-table: mine.history }\n",
        );
        project.write("migrations/V1__a.sql", sql);
        let ran = project.run(&["preflight", "--json"]).await;
        let (state, seen) = state(&ran, "rights");
        match expected {
            Some(words) => {
                assert_eq!(
                    (state.as_str(), ran.status),
                    ("blocking", 1),
                    "{sql}: {}",
                    ran.seen()
                );
                assert!(seen.contains(words), "{sql}: {seen}");
            }
            None => assert_eq!(
                (state.as_str(), ran.status),
                ("ok", 0),
                "{sql}: {}",
                ran.seen()
            ),
        }
    }
}
