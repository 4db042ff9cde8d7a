//! Unreadable files: each is rejected with its position, before anything runs.

use std::collections::BTreeSet;

use crate::support::project::{CommandOutput, Project};
use crate::support::server;

/// Texts with something unclosed, and the line and column where it starts.
const UNCLOSED: &[(&str, &str)] = &[
    (
        "CREATE TABLE a (x int);\n/* note\nCREATE TABLE b (x int);\n",
        "2:1",
    ),
    (
        "CREATE TABLE a (x int);\n/* /* note */\nCREATE TABLE b (x int);\n",
        "2:1",
    ),
    ("CREATE TABLE a (x int) /* TODO", "1:24"),
    ("CREATE TABLE a (x int); /* ☃", "1:25"),
    ("CREATE TABLE a (x int);\nSELECT 'it''s;\n", "2:8"),
    (
        "CREATE TABLE a (x int);\nSELECT E'it\\'s';\nSELECT E'\\';\n",
        "3:8",
    ),
    ("CREATE TABLE a (x int);\nSELECT U&'☃;\n", "2:8"),
    ("CREATE TABLE a (x int);\nSELECT 1 AS \"b;\n", "2:13"),
    (
        "CREATE TABLE a (x int);\nDO $body$ BEGIN END $bod$;\n",
        "2:4",
    ),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ SELECT 1 ☃",
        "1:53",
    ),
    ("CREATE TABLE a (x int;\nCREATE TABLE b (x int);\n", "1:16"),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1;\nCREATE TABLE b (x int);\n",
        "1:46",
    ),
    ("CREATE TABLE a (x int);\nCOPY a FROM stdin;\n1\n2\n", "2:1"),
    (
        "CREATE TABLE a (x int);\nCOPY a FROM stdin; SELECT 1;\n1\n\\.\n",
        "2:1",
    ),
    (
        "SET standard_conforming_strings = off;\nSELECT 'a\\';\n",
        "2:8",
    ),
];

/// Texts that only look unclosed.
const CLOSED: &[&str] = &[
    "CREATE TABLE a (x int); /* /* note */ */ -- /* '\n",
    "CREATE TABLE a (x text DEFAULT 'it''s /*'); COMMENT ON TABLE a IS E'\\'(';\n",
    "CREATE TABLE a (x text);\nCOPY a FROM stdin; -- rows\nit's (/*\n\\.\nSELECT 1;\n",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; -- '\nEND $$;\n",
];

fn refused(ran: &CommandOutput, place: &str) {
    assert!(
        ran.status == 1 || ran.status == 2 || ran.status == 4,
        "{}",
        ran.seen()
    );
    assert!(ran.seen().contains(place), "{place}: {}", ran.seen());
}

#[tokio::test]
async fn unclosed_files_are_rejected_before_anything_runs() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    for mode in ["", "-- af-db: no-transaction "] {
        for (text, at) in UNCLOSED {
            // The directive is on a line that shifts no other.
            let (text, line) = if mode.is_empty() {
                ((*text).to_owned(), 0)
            } else {
                (format!("{mode}\n{text}"), 1)
            };
            let (row, column) = at.split_once(':').expect("a place");
            let row: usize = row.parse().expect("a line");
            let place = format!("migrations/V1__a.sql:{}:{column}", row + line);
            project.write("migrations/V1__a.sql", &text);
            refused(&project.run(&["validate", "--offline"]).await, &place);
            let up = project.run(&["up", "--json"]).await;
            assert_eq!(up.status, 4, "{text}: {}", up.seen());
            let place = &up.json()["findings"][0]["place"];
            assert_eq!(place["line"], row + line, "{text}");
            assert_eq!(place["column"].to_string(), column, "{text}");
        }
    }
    let made = "SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b')";
    assert_eq!(database.one(made).await, "0");
}

#[tokio::test]
async fn closed_files_are_applied() {
    for text in CLOSED {
        let database = server::database().await;
        let project = Project::of(&database.target);
        project.write("migrations/V1__a.sql", text);
        let validated = project
            .run(&["validate", "--offline", "--json"])
            .await
            .json();
        let codes: BTreeSet<String> = validated["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|finding| finding["code"].to_string())
            .collect();
        assert!(
            !codes
                .iter()
                .any(|code| code.contains("T27") || code.contains("unclosed")),
            "{text}: {codes:?}"
        );
        project.run(&["up"]).await.ok();
    }
}

#[tokio::test]
async fn every_command_rejects_an_unclosed_file() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", "CREATE TABLE a (x int);\n");
    project.write("migrations/V1__a.down.sql", "DROP TABLE a;\n/* back\n");
    project.run(&["up"]).await.ok();
    let down = "migrations/V1__a.down.sql:2:1";
    refused(&project.run(&["down", "--yes"]).await, down);
    refused(&project.run(&["validate", "--offline"]).await, down);
    project.write("migrations/V1__a.down.sql", "DROP TABLE a;\n");
    project.write(
        "migrations/V2__b.sql",
        "CREATE TABLE b (x int);\n/* on\nCREATE TABLE c (x int);\n",
    );
    let up = "migrations/V2__b.sql:2:1";
    refused(&project.run(&["plan"]).await, up);
    refused(&project.run(&["diff", "migrations", "live"]).await, up);
    project.write("schema.sql", "CREATE TABLE a (x int);\nSELECT 'a\n");
    std::fs::remove_file(project.folder.path().join("migrations/V2__b.sql")).expect("it is there");
    refused(
        &project.run(&["diff", "schema.sql", "live"]).await,
        "schema.sql:2:8",
    );
    project.write("schemas/a.sql", "CREATE TABLE a (x int);\n/* a\n");
    refused(
        &project.run(&["diff", "manifest", "live"]).await,
        "schemas/a.sql:2:1",
    );
    assert_eq!(database.one("SELECT count(*) FROM a").await, "0");
}

#[tokio::test]
async fn files_in_other_encodings_are_reported() {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = [0xFEFF].into_iter().chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    };
    let cases: &[(&str, Vec<u8>, &str)] = &[
        (
            "V1__a.sql",
            b"SELECT 1;\n-- gr\xfcn\n".to_vec(),
            "V1__a.sql:2:1",
        ),
        (
            "V1__a.sql",
            b"SELECT 1;\n-- gr\xfcn\n".to_vec(),
            "byte 15 (0xFC) is not UTF-8",
        ),
        (
            "V1__a.sql",
            utf16("SELECT 1;"),
            "encoded as UTF-16 (little-endian)",
        ),
        (
            "V1__a.sql",
            utf16("SELECT 1;")[2..].to_vec(),
            "encoded as UTF-16 (little-endian)",
        ),
        ("V1__a.sql", b"SELECT 1;\0".to_vec(), "byte 9 is NUL (0x00)"),
        ("V1__a.sql", "\u{feff}SELECT 1;".into(), "byte-order mark"),
        (
            "V1__a\nb.sql",
            b"SELECT 1;".to_vec(),
            "contains a line feed",
        ),
        (
            "V1__a\u{1b}[2J.sql",
            b"SELECT 1;".to_vec(),
            "contains the control character U+001B",
        ),
    ];
    let database = server::database().await;
    for (name, bytes, expected) in cases {
        let project = Project::of(&database.target);
        project.write(&format!("migrations/{name}"), bytes);
        for command in [&["validate", "--offline"][..], &["up"], &["plan"]] {
            let ran = project.run(command).await;
            refused(&ran, expected);
            assert!(!ran.seen().contains("flyway"), "{}", ran.seen());
        }
    }
    let project = Project::of(&database.target);
    project.write("migrations/V1__a.sql", b"CREATE TABLE a (x int);\n");
    project.write("migrations/V2__b.sql", b"-- gr\xfcn\n");
    refused(&project.run(&["diff", "migrations", "live"]).await, "0xFC");
    for (folder, command) in [
        ("schemas", &["diff", "manifest", "live"][..]),
        ("policies", &["diff-rls"]),
    ] {
        let project = Project::of(&database.target);
        project.write(&format!("{folder}/a.yaml"), b"# gr\xfcn\n");
        refused(
            &project.run(command).await,
            "/a.yaml:1: byte 4 (0xFC) is not UTF-8",
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_circles_pipes_and_devices_are_refused() {
    use std::os::unix::fs::symlink;

    let database = server::database().await;
    for (folder, ending, command) in [
        ("migrations", "sql", &["validate", "--offline"][..]),
        ("schemas", "yaml", &["diff", "manifest", "live"]),
        ("policies", "yaml", &["diff-rls"]),
    ] {
        let prepare = || {
            let project = Project::of(&database.target);
            std::fs::create_dir(project.folder.path().join(folder)).expect("a folder");
            let path = project.folder.path().join(folder);
            (project, path)
        };
        let name = format!("V1__a.{ending}");
        let (project, path) = prepare();
        symlink(".", path.join("a")).expect("a link");
        symlink(".", path.join("b")).expect("a link");
        refused(
            &project.run(command).await,
            "links to a folder that was already read as",
        );
        let (project, path) = prepare();
        let pipe = path.join(&name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        refused(
            &project.run(command).await,
            "the path is a pipe, not a regular file",
        );
        let (project, path) = prepare();
        symlink("/dev/zero", path.join(&name)).expect("a link");
        refused(
            &project.run(command).await,
            "the path is a device, not a regular file",
        );
    }
    // Symbolic links to a file or folder elsewhere are followed.
    let project = Project::of(&database.target);
    project.write("elsewhere/V1__a.sql", "CREATE TABLE linked_a (x int);\n");
    project.write("V2__b.sql", "CREATE TABLE linked_b (x int);\n");
    let path = project.folder.path().join("migrations");
    std::fs::create_dir(&path).expect("a folder");
    symlink("../elsewhere", path.join("more")).expect("a link");
    symlink("../V2__b.sql", path.join("V2__b.sql")).expect("a link");
    project.run(&["up"]).await.ok();
    assert_eq!(
        database
            .one("SELECT count(*) FROM pg_class WHERE relname LIKE 'linked__'")
            .await,
        "2"
    );
}
