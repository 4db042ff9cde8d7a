//! Partial archives: which part they contain, and that none is ever used as a whole.

use super::Bench;
use crate::support::project::{CommandOutput, Project};

/// A project whose database holds tables with names of every kind.
async fn project() -> (Bench, Project) {
    let bench = Bench::new().await;
    bench
        .database
        .run(
            r#"CREATE SCHEMA "My.Schema";
            CREATE TABLE "My.Schema"."Ta.ble*?" (a int);
            INSERT INTO "My.Schema"."Ta.ble*?" VALUES (1);
            CREATE TABLE plain (a int);
            INSERT INTO plain VALUES (1), (2);
            CREATE TABLE events (a int) PARTITION BY LIST (a);
            CREATE TABLE "events 1" PARTITION OF events FOR VALUES IN (1) PARTITION BY LIST (a);
            CREATE TABLE events_11 PARTITION OF "events 1" FOR VALUES IN (1);
            CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
            INSERT INTO events VALUES (1), (1), (2);"#,
        )
        .await;
    let project = Project::of(&bench.database.target);
    (bench, project)
}

/// Makes an archive and gives its name and how many rows it holds.
async fn made(project: &Project, arguments: &[&str]) -> (String, u64) {
    let arguments = [&["backup", "--json"], arguments].concat();
    loop {
        let ran = project.run(&arguments).await;
        // Another of the same second would have the same name.
        if ran.status == 2 && ran.stderr.contains("already") {
            continue;
        }
        let report = ran.ok().json();
        let name = report["archive"]["name"]
            .as_str()
            .expect("a name")
            .to_owned();
        return (
            name,
            report["archive"]["totals"]["rows"].as_u64().expect("rows"),
        );
    }
}

fn refused(ran: &CommandOutput, names: &[&str]) -> String {
    assert_eq!(ran.stdout, "", "{}", ran.seen());
    let mut text = ran.stderr.trim_end().to_owned();
    for name in names {
        text = text.replace(name, "ARCHIVE");
    }
    text
}

#[tokio::test]
async fn a_table_with_any_name_is_dumped_with_its_partitions() {
    let (_bench, project) = project().await;
    for (table, rows) in [
        ("plain", 2),
        ("public.plain", 2),
        (r#""plain""#, 2),
        (r#""My.Schema"."Ta.ble*?""#, 1),
        ("events", 3),
        ("events 1", 2),
        ("public.events_2", 1),
    ] {
        assert_eq!(made(&project, &["--table", table]).await.1, rows, "{table}");
    }
    let ran = project
        .run(&["backup", "--table", "My.Schema.Ta.ble*?"])
        .await;
    insta::assert_snapshot!(refused(&ran, &[]), @r#"
    error: `My.Schema.Ta.ble*?` is not a table name; nothing was dumped
    hint: write SCHEMA.NAME; a name with a dot in it in quotes: '"my.schema"."a table"'
    "#);
    let ran = project.run(&["backup", "--table", r#""No.ne".x"#]).await;
    insta::assert_snapshot!(refused(&ran, &[]), @r#"
    error: table `"No.ne".x` does not exist; nothing was dumped
    hint: spell names as the catalog does, tables with their schema
    "#);
}

#[tokio::test]
async fn a_partial_archive_is_never_used_as_a_whole() {
    let (bench, project) = project().await;
    let (part, _) = made(&project, &["--table", "plain"]).await;
    let ran = project.run(&["restore", "--swap", "--yes"]).await;
    insta::assert_snapshot!(refused(&ran, &[&part, bench.database.target.database()]), @r#"
    error: no full backup of `DATABASE` in PROJECT/backups
    hint: name a partial backup explicitly, such as ARCHIVE
    "#);
    let (whole, rows) = made(&project, &[]).await;
    assert_eq!(rows, 6);
    let (part, _) = made(&project, &["--table", "plain"]).await;
    let named = part.replace("DATABASE", bench.database.target.database());
    let ran = project.run(&["restore", "--swap", "--yes", &named]).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    insta::assert_snapshot!(refused(&ran, &[&part]), @r#"
    error: backup `ARCHIVE` contains only table public.plain and cannot replace a whole database; nothing was restored
    hint: restore it into a new database with --into NAME and copy what is needed
    "#);

    let listed = project.run(&["backup", "list"]).await.ok().stdout;
    let of = |name: &str| listed.lines().find(|line| line.contains(name)).unwrap();
    assert!(of(&part).contains("only table public.plain"), "{listed}");
    assert!(!of(&whole).contains("only"), "{listed}");

    let pruned = project.run(&["backup", "prune", "--keep", "1d", "--yes"]);
    let pruned = pruned.await.ok().stdout;
    assert!(!pruned.contains(&whole), "{pruned}");
    let restored = project.run(&["restore", "--swap", "--yes"]).await.ok();
    assert!(restored.stdout.contains(&whole), "{}", restored.stdout);
}

#[tokio::test]
async fn the_printed_drop_statement_works() {
    let mut bench = Bench::new().await;
    bench
        .database
        .run(r#"CREATE DATABASE "Sh""op" TEMPLATE template0"#)
        .await;
    let other = bench.database.target.with_database(r#"Sh"op"#);
    let maintenance = std::mem::replace(&mut bench.database.target, other);
    bench.database.run("CREATE TABLE t (a int)").await;
    let project = Project::of(&bench.database.target);
    made(&project, &[]).await;
    let said = project.run(&["restore", "--swap", "--yes"]).await.ok();
    let (_, drop) = said.stdout.split_once("no longer needed: ").unwrap();
    bench.database.target = maintenance;
    bench.database.run(drop.lines().next().unwrap()).await;
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'Sh%'";
    assert_eq!(bench.database.one(left).await, "1");
}
