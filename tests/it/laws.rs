//! The laws of the diff, held to every case under `tests/cases/diff`: what it writes leads from one schema to the other,
//! both ways, and then it finds nothing more to do.

use std::path::{Path, PathBuf};

use af_db::catalog::{Catalog, Scope, read};
use af_db::diff::ddl::{self, Options};
use af_db::diff::{self, Change};
use af_db::pg::session::Session;

use crate::support::server;

const OPTIONS: Options = Options {
    column_order: true,
    online: false,
};

/// Finds the folders `<object>/<case>`.
fn cases() -> Vec<PathBuf> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        found.sort();
        found
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/diff");
    let cases: Vec<PathBuf> = inside(&root).iter().flat_map(|of| inside(of)).collect();
    assert!(!cases.is_empty(), "there are cases in {}", root.display());
    cases
}

fn text(case: &Path, name: &str) -> String {
    let path = case.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn read_all(session: &Session) -> Catalog {
    read::read(session, &Scope::whole())
        .await
        .expect("a catalog")
}

/// Gives what is wrong with the way from one schema to the other; nothing where the laws hold.
async fn broken(old: &str, new: &str) -> Option<String> {
    let (one, other) = (server::database().await, server::database().await);
    one.run(old).await;
    other.run(new).await;
    let session = one.session().await;
    let from = read_all(&session).await;
    let to = read_all(&other.session().await).await;
    if from == to {
        return Some("the two say the same".to_owned());
    }
    let statements = ddl::statements(&from, &to, &OPTIONS);
    let mut told = String::new();
    for statement in &statements {
        told.push_str(&format!("{};\n", statement.sql));
        if let Err(error) = session.run(&statement.sql).await {
            return Some(format!("{error:#}\n{told}"));
        }
    }
    let reached = read_all(&session).await;
    let left = diff::between(&reached, &to);
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(explained).collect();
        return Some(format!("still differs: {}\n{told}", left.join(", ")));
    }
    let again = ddl::statements(&reached, &to, &OPTIONS);
    (!again.is_empty()).then(|| format!("writes {} statements again", again.len()))
}

fn explained(change: &Change) -> String {
    format!("{} {:?}", change.key, change.details())
}

#[tokio::test]
async fn every_case_leads_there_and_back() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (old, new) = (text(&case, "old.sql"), text(&case, "new.sql"));
        for (way, from, to) in [("there", &old, &new), ("back", &new, &old)] {
            if let Some(why) = broken(from, to).await {
                wrong.push(format!("{} {way}: {why}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_does_not_differ_is_not_taken_for_a_case() {
    let same = "CREATE TABLE t (a int)";
    assert_eq!(
        broken(same, same).await.as_deref(),
        Some("the two say the same")
    );
}

#[tokio::test]
async fn rows_outlive_a_new_order_of_columns() {
    let check = async |old: &str, new: &str, expected: &[&str]| {
        let (one, other) = (server::database().await, server::database().await);
        one.run(old).await;
        other.run(new).await;
        let session = one.session().await;
        let from = read_all(&session).await;
        let to = read_all(&other.session().await).await;
        for statement in ddl::statements(&from, &to, &OPTIONS) {
            session.run(&statement.sql).await.expect("a statement");
        }
        assert_eq!(one.rows("SELECT * FROM t").await, [expected]);
    };
    check(
        "CREATE TABLE t (a int, c int); INSERT INTO t VALUES (1, 3);",
        "CREATE TABLE t (a int, b int, c int)",
        &["1", "∅", "3"],
    )
    .await;
    // The parent gives up a column that the child keeps.
    check(
        "CREATE TABLE p (a int, b int); CREATE TABLE t (c int) INHERITS (p); INSERT INTO t VALUES (1, 2, 3);",
        "CREATE TABLE p (a int); CREATE TABLE t (c int, b int) INHERITS (p)",
        &["1", "3", "2"],
    )
    .await;
}
