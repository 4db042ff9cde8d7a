//! `af-db doctor`.

use crate::support::dev_project::DevProject;
use crate::support::server;

/// Replaces what differs from machine to machine: versions and paths of programs.
fn normal(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let ok = line.starts_with("ok ");
        let version = line.find("PostgreSQL 1").or_else(|| line.find("pg_dump 1"));
        let cut = version
            .filter(|_| ok)
            .map_or(line.len(), |at| at + line[at..].find(' ').unwrap_or(0) + 1);
        lines.push_str(&line[..cut]);
        if cut < line.len() {
            lines.push('…');
        }
        lines.push('\n');
    }
    lines
}

#[test]
fn a_project_without_configuration_is_fine() {
    let project = DevProject::new();
    insta::assert_snapshot!(normal(&project.run(&["doctor"])), @r"
    $ af-db doctor
    ok  configuration        no af-db.yaml, using defaults
    ok  server               no database configured; the local server starts when needed
    ok  client tools         pg_dump …
    ok  embedded postgresql  PostgreSQL …
    ");
}

#[test]
fn missing_programs_are_reported_with_a_fix() {
    let project = DevProject::new().file("empty/file", "");
    let empty = project.path().join("empty");
    let empty = empty.to_str().unwrap();
    let told = project.run_with(
        &[("AF_DB_PG_BIN", empty)],
        &[
            "doctor",
            "--database-url",
            "postgresql://me:secret@127.0.0.1:1/db",
        ],
    );
    let (_, told) = told.split_once('\n').unwrap();
    assert!(!told.contains("secret"), "{told}");
    insta::assert_snapshot!(normal(told), @"
    ok       configuration        no af-db.yaml, using defaults
    error    server               nothing listens at `127.0.0.1:1`: Connection refused (os error 111)
    warning  client tools         no pg_dump of PostgreSQL 14 or newer found; backup and restore do not work
    error    embedded postgresql  cannot use PostgreSQL in PROJECT/empty: postgres is missing

    error[doctor-server]: server: nothing listens at `127.0.0.1:1`: Connection refused (os error 111)
      help: start the server, or correct the host and port

    error[doctor-embedded-postgresql]: embedded postgresql: cannot use PostgreSQL in PROJECT/empty: postgres is missing
      help: set AF_DB_PG_BIN to the directory with postgres and initdb, or unset it

    warn[doctor-client-tools]: client tools: no pg_dump of PostgreSQL 14 or newer found; backup and restore do not work
      help: install the client programs, such as the package postgresql-client-14, or set AF_DB_PG_BIN to their directory

    2 errors, 1 warning
    exit 1
    ");
}

#[tokio::test]
async fn a_live_server_is_checked() {
    let server = server::own(None).await;
    let database = server.database().await;
    database.run("CREATE ROLE weak LOGIN").await;
    let directory = server.scratch.directory().unwrap().display().to_string();
    let project = DevProject::new();
    let url = |role: &str| {
        format!(
            "postgresql://{role}@/{}?host={directory}&sslmode=disable",
            database.name
        )
    };
    let strong = project.run(&["doctor", "--database-url", &url("postgres")]);
    let weak = project.run(&["doctor", "--database-url", &url("weak")]);
    let told = normal(&format!("{strong}\n{weak}"))
        .replace(&directory, "DIRECTORY")
        .replace(&database.name, "DATABASE");
    insta::assert_snapshot!(told, @r"
    $ af-db doctor --database-url postgresql://postgres@/DATABASE?host=DIRECTORY&sslmode=disable
    ok  configuration        no af-db.yaml, using defaults
    ok  server               PostgreSQL …
    ok  rights               `postgres` is a superuser
    ok  pooler               none
    ok  tls                  not needed: local socket
    ok  client tools         pg_dump …
    ok  embedded postgresql  PostgreSQL …

    $ af-db doctor --database-url postgresql://weak@/DATABASE?host=DIRECTORY&sslmode=disable
    ok       configuration        no af-db.yaml, using defaults
    ok       server               PostgreSQL …
    warning  rights               `weak` cannot create schemas in `DATABASE`
    ok       pooler               none
    ok       tls                  not needed: local socket
    ok       client tools         pg_dump …
    ok       embedded postgresql  PostgreSQL …

    warn[doctor-rights]: rights: `weak` cannot create schemas in `DATABASE`
      help: GRANT CREATE ON DATABASE DATABASE TO weak

    1 warning
    ");
}
