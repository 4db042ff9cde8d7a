//! Confirmation before data is replaced, and refusal without a terminal.

use crate::support::project::{CommandOutput, Project};
use crate::support::server;

/// Returns the error without the log, the archive's name and its age.
fn refused(ran: &CommandOutput, status: i32, archive: &str) -> String {
    assert_eq!(ran.status, status, "{}", ran.seen());
    let from = ran.stderr.find("error: ").unwrap_or_default();
    super::without_age(&ran.stderr[from..].trim_end().replace(archive, "ARCHIVE"))
}

async fn made(project: &Project, more: &[&str]) -> String {
    let ran = project.run(&[&["backup", "--json"], more].concat()).await;
    let name = ran.ok().json()["archive"]["name"].clone();
    name.as_str().expect("a name").to_owned()
}

#[tokio::test]
async fn swap_needs_confirmation() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    database.run("CREATE TABLE kept AS SELECT 1 AS a").await;
    let archive = made(&project, &[]).await;
    database.run("INSERT INTO kept VALUES (2)").await;
    let swap = ["restore", "--swap"];
    let ran = project.run(&swap).await;
    insta::assert_snapshot!(refused(&ran, 4, &archive), @"
    error: confirmation needed, but there is no terminal; nothing was changed: replace database `DATABASE` with backup ARCHIVE (AGE old) and keep the current one under another name on postgres@HOST:PORT/DATABASE?
    hint: Confirm with --yes
    ");
    assert_eq!(database.one("SELECT count(*) FROM kept").await, "2");
    let ran = project.run(&[&swap[..], &["--yes"]].concat()).await.ok();
    assert!(ran.stdout.contains("is kept as"), "{}", ran.seen());
    assert_eq!(database.one("SELECT count(*) FROM kept").await, "1");
    let olds = "SELECT datname FROM pg_database WHERE starts_with(datname, current_database() || '_before')";
    let old = database.one(olds).await;
    let status = project.run(&["status"]).await.ok();
    let said = "previous version of this database, kept by a restore (";
    assert!(status.seen().contains(said), "{}", status.seen());
    let doctor = project.run(&["doctor"]).await;
    let said = "kept by restores: ";
    assert!(doctor.stdout.contains(said), "{}", doctor.seen());
    database.run(&format!("DROP DATABASE {old}")).await;
}

#[tokio::test]
async fn replacing_a_tenants_rows_needs_confirmation() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("af-db.yaml", "tenancy: { column: tenant_id }\n");
    database
        .run("CREATE TABLE notes (id int PRIMARY KEY, tenant_id int); INSERT INTO notes VALUES (1, 7), (2, 8)")
        .await;
    let archive = made(&project, &["--tenant", "7"]).await;
    database
        .run("UPDATE notes SET id = 3 WHERE tenant_id = 7")
        .await;
    let named = archive.replace("DATABASE", &database.name);
    let replace = ["restore", &named, "--replace"];
    let ran = project.run(&replace).await;
    insta::assert_snapshot!(refused(&ran, 4, &archive), @"
    error: confirmation needed, but there is no terminal; nothing was changed: replace the rows of tenant 7 from backup ARCHIVE on postgres@HOST:PORT/DATABASE?
    hint: Confirm with --yes
    ");
    let ids = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM notes";
    assert_eq!(database.one(ids).await, "2 3");
    project.run(&[&replace[..], &["--yes"]].concat()).await.ok();
    assert_eq!(database.one(ids).await, "1 2");
}

#[tokio::test]
async fn unsupported_flags_are_refused() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let archive = made(&project, &[]).await;
    let said = async |arguments: &[&str]| refused(&project.run(arguments).await, 2, &archive);
    let into = format!("{}_never", database.name);
    insta::assert_snapshot!(said(&["restore", "--before-run", "0123", "--into", &into]).await, @"
    error: --before-run requires --engine pgbackrest; nothing was restored
    hint: add --engine pgbackrest, or restore the backup that ends at a migration with --to-history VERSION
    ");
    insta::assert_snapshot!(said(&["restore", "--engine", "pgbackrest", "--before-lsn", "0/1", "--swap"]).await, @"
    error: pgBackRest works on whole servers and does not support --swap; nothing was done
    hint: omit --swap or --engine pgbackrest; pgBackRest has its own configuration file
    ");
    insta::assert_snapshot!(said(&["backup", "--engine", "pgbackrest", "--recipient", "age1x"]).await, @"
    error: pgBackRest works on whole servers and does not support --recipient; nothing was done
    hint: omit --recipient or --engine pgbackrest; pgBackRest has its own configuration file
    ");
    insta::assert_snapshot!(said(&["backup", "--label", "two\nlines"]).await, @"
    error: the label must be one line of text; nothing was dumped
    hint: remove line breaks and control characters
    ");
    let ran = project
        .run(&["restore", "--jobs", "0", "--into", &into])
        .await;
    assert_eq!(ran.status, 2, "{}", ran.seen());
    let made = format!("SELECT count(*) FROM pg_database WHERE starts_with(datname, '{into}')");
    assert_eq!(database.one(&made).await, "0");
}

#[tokio::test]
async fn invalid_database_names_are_refused() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let archive = made(&project, &[]).await;
    let ran = project.run(&["restore", "--into", ""]).await;
    insta::assert_snapshot!(refused(&ran, 2, &archive), @"
    error: the target database name is empty; nothing was restored
    hint: give --into NAME; a shell variable may be empty
    ");
    let address = "postgres://me:secret@elsewhere/shop";
    let ran = project.run(&["restore", "--into", address]).await;
    insta::assert_snapshot!(refused(&ran, 2, &archive), @"
    error: --into takes a database name, not a URL; nothing was restored
    hint: give the server with --database-url and the new database with --into NAME
    ");
    let long = "ä".repeat(32);
    let ran = project.run(&["restore", "--into", &long]).await;
    insta::assert_snapshot!(refused(&ran, 2, &archive), @"
    error: database name `ääääääääääääääääääääääääääääääää` has 64 bytes, but PostgreSQL allows 63; nothing was restored
    hint: choose a shorter name with --into
    ");
}
