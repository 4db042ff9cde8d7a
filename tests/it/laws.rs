//! The laws of the diff, held to every case under `tests/cases/diff` on every version: what it writes leads from one schema
//! to the other, both ways, and then it finds nothing more to do; rows outlive it.
//!
//! `seed.sql` of a case fills its old side. A first line `-- since 15` says from which version on a case holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use af_db::catalog::{Catalog, Scope, read};
use af_db::diff::ddl::{self, Options, Statement};
use af_db::diff::{self, Change, predictable};
use af_db::pg::session::Session;
use af_db::shadow::diff_trial;
use af_db::sql::safe::Sql;

use crate::support::server::{self, Database, Server};

const OPTIONS: Options = Options {
    column_order: true,
    online: false,
};

const ONLINE: Options = Options {
    column_order: true,
    online: true,
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

/// Counts the rows of every table, by its name.
async fn counts(session: &Session) -> BTreeMap<String, String> {
    let tables = "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                  WHERE relkind = 'r' AND nspname <> 'information_schema' AND nspname !~ '^pg_'";
    let count = |mut row: Vec<String>| {
        let table = row.remove(0);
        let text = table.replace('\'', "''");
        format!("SELECT '{text}', count(*) FROM ONLY {table}")
    };
    let tables = server::rows(session, tables).await;
    let counted: Vec<String> = tables.into_iter().map(count).collect();
    if counted.is_empty() {
        return BTreeMap::new();
    }
    let counted = server::rows(session, &counted.join(" UNION ALL ")).await;
    let pair = |row: Vec<String>| <[String; 2]>::try_from(row).expect("two columns").into();
    counted.into_iter().map(pair).collect()
}

/// Runs statements, those that stand together in one transaction.
async fn run(session: &Session, statements: &[Statement]) -> Result<(), String> {
    let step = async |sql: &Sql| {
        let ran = session.run(sql).await;
        ran.map_err(|error| format!("{error:#}\nat {sql}"))
    };
    for together in statements.chunk_by(|one, other| one.alone == other.alone) {
        let alone = together[0].alone;
        if !alone {
            step(&Sql::new("BEGIN")).await?;
        }
        for statement in together {
            step(&statement.sql).await?;
        }
        if !alone {
            step(&Sql::new("COMMIT")).await?;
        }
    }
    Ok(())
}

/// A database that holds one schema of a case, and the catalog read from it.
struct Side {
    session: Session,
    catalog: Catalog,
    _database: Database,
}

impl Side {
    async fn load(database: Database, sql: &str) -> Self {
        let session = database.session().await;
        if let Err(error) = session.run(&Sql::written_by_user(sql)).await {
            panic!("{error:#}\n{sql}");
        }
        let catalog = read_all(&session).await;
        Side {
            session,
            catalog,
            _database: database,
        }
    }

    /// Changes the schema to another one; gives what is wrong with the statements for it, nothing where the laws hold.
    async fn broken(&self, to: &Catalog, options: &Options) -> Option<String> {
        let (session, from) = (&self.session, &self.catalog);
        if from == to {
            return Some("the two say the same".to_owned());
        }
        let before = counts(session).await;
        let statements = ddl::statements(from, to, options);
        let told: Vec<String> = statements
            .iter()
            .map(|one| format!("{};", one.sql))
            .collect();
        let told = told.join("\n");
        if let Err(error) = run(session, &statements).await {
            return Some(format!("{error}\n{told}"));
        }
        let reached = read_all(session).await;
        let left = diff::between(&reached, to);
        if !left.is_empty() {
            let left: Vec<String> = left.iter().map(explained).collect();
            return Some(format!("still differs: {}\n{told}", left.join(", ")));
        }
        let after = counts(session).await;
        for (table, count) in before {
            if after.get(&table).is_some_and(|now| *now != count) {
                return Some(format!(
                    "{table} had {count} rows, not {}\n{told}",
                    after[&table]
                ));
            }
        }
        let again = ddl::statements(&reached, to, options);
        (!again.is_empty()).then(|| format!("writes {} statements again", again.len()))
    }
}

/// Gives what is wrong with the way from one schema to the other, and with the way back; nothing where the laws hold.
async fn broken(
    server: &Server,
    options: &Options,
    (old, new): (&str, &str),
) -> [Option<String>; 2] {
    let one = Side::load(server.database().await, old).await;
    let other = Side::load(server.database().await, new).await;
    // Each way changes the database that it begins with, and what it leads to was read before.
    [
        one.broken(&other.catalog, options).await,
        other.broken(&one.catalog, options).await,
    ]
}

fn explained(change: &Change) -> String {
    format!("{} {:?}", change.key, change.details())
}

/// Holds the laws to every case, both ways, on one version.
async fn hold(major: u32, options: &Options) {
    let server = server::own(Some(major)).await;
    let mut wrong = Vec::new();
    for case in cases() {
        let (mut old, new) = (text(&case, "old.sql"), text(&case, "new.sql"));
        if since(&old) > major {
            continue;
        }
        if case.join("seed.sql").exists() {
            old.push_str(&text(&case, "seed.sql"));
        }
        let ways = broken(&server, options, (&old, &new)).await;
        for (way, why) in ["there", "back"].into_iter().zip(ways) {
            wrong.extend(why.map(|why| format!("{} {way}: {why}", case.display())));
        }
    }
    assert!(
        wrong.is_empty(),
        "PostgreSQL {major}:\n{}",
        wrong.join("\n")
    );
}

/// Gives the first version that a case is for.
fn since(old: &str) -> u32 {
    old.lines()
        .next()
        .and_then(|line| line.strip_prefix("-- since "))
        .map_or(0, |version| version.trim().parse().expect("a version"))
}

#[tokio::test]
async fn every_case_leads_there_and_back_on_14() {
    hold(14, &OPTIONS).await;
}

#[tokio::test]
async fn every_case_leads_there_and_back_on_15() {
    hold(15, &OPTIONS).await;
}

#[tokio::test]
async fn every_case_leads_there_and_back_on_16() {
    hold(16, &OPTIONS).await;
}

#[tokio::test]
async fn every_case_leads_there_and_back_on_17() {
    hold(17, &OPTIONS).await;
}

#[tokio::test]
async fn every_case_leads_there_and_back_on_18() {
    hold(18, &OPTIONS).await;
}

#[tokio::test]
async fn every_case_leads_there_and_back_online_on_14() {
    hold(14, &ONLINE).await;
}

#[tokio::test]
async fn every_case_leads_there_and_back_online_on_18() {
    hold(18, &ONLINE).await;
}

#[tokio::test]
async fn the_indexes_of_keys_stand_in_their_tablespaces() {
    let server = server::own(Some(15)).await;
    let session = server.database().await.session().await;
    for sql in [
        "SET allow_in_place_tablespaces = on",
        "CREATE TABLESPACE fast LOCATION ''",
    ] {
        session.run(&Sql::new(sql)).await.expect("a tablespace");
    }
    let old = "CREATE TABLE t (id int, r int4range, word text)";
    let new = "CREATE TABLE t (id int, r int4range, word text,
         PRIMARY KEY (id) USING INDEX TABLESPACE fast DEFERRABLE,
         EXCLUDE USING gist (r WITH &&) USING INDEX TABLESPACE fast WHERE (word <> ' WHERE (') DEFERRABLE)";
    assert_eq!(
        broken(&server, &OPTIONS, (old, new)).await,
        [const { None::<String> }; 2]
    );
}

#[tokio::test]
async fn what_does_not_differ_is_not_taken_for_a_case() {
    let same = "CREATE TABLE t (a int)";
    let server = server::shared().await;
    let told = "the two say the same".to_owned();
    assert_eq!(
        broken(server, &OPTIONS, (same, same)).await,
        [Some(told.clone()), Some(told)]
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

#[tokio::test]
async fn statements_that_do_not_lead_there_are_refused() {
    let server = server::own(None).await;
    let (one, other) = (server.database().await, server.database().await);
    one.run("CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE t_1 (a int)")
        .await;
    other
        .run("CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1); CREATE INDEX t_a ON t (a)")
        .await;
    let from = read_all(&one.session().await).await;
    let to = read_all(&other.session().await).await;
    let statements = ddl::statements(&from, &to, &OPTIONS);
    assert!(!predictable::is_predictable(
        &diff::between(&from, &to),
        &statements
    ));
    let tried = diff_trial::try_out(&server.scratch, &from, &to, &statements, &OPTIONS).await;
    assert_eq!(tried.expect("they lead there"), None);

    let refused = async |statements: &[Statement]| {
        let server = server::own(None).await;
        let tried = diff_trial::try_out(&server.scratch, &from, &to, statements, &OPTIONS).await;
        format!("{:#}", tried.expect_err("they do not lead there"))
    };
    let (last, fewer) = statements.split_last().expect("statements");
    assert_eq!(
        refused(fewer).await,
        "The generated statements do not produce the target schema: index public.t_1_a_idx differs in parent after running them"
    );
    let twice = [
        statements.as_slice(),
        &[last.clone(), statements[0].clone()],
    ]
    .concat();
    assert!(
        refused(&twice)
            .await
            .starts_with("The generated statements fail at ")
    );
}

#[tokio::test]
async fn a_plain_difference_is_told_from_one_that_is_not() {
    let check = async |old: &str, new: &str, expected: bool| {
        let (one, other) = (server::database().await, server::database().await);
        one.run(old).await;
        other.run(new).await;
        let from = read_all(&one.session().await).await;
        let to = read_all(&other.session().await).await;
        let statements = ddl::statements(&from, &to, &OPTIONS);
        let plain = predictable::is_predictable(&diff::between(&from, &to), &statements);
        assert_eq!(plain, expected, "{old} to {new}");
    };
    check(
        "",
        "CREATE TABLE t (a int PRIMARY KEY, b text DEFAULT 'x')",
        true,
    )
    .await;
    check(
        "CREATE TABLE t (a int)",
        "CREATE TABLE t (a bigint NOT NULL, b int)",
        true,
    )
    .await;
    check(
        "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t",
        "CREATE TABLE t (a bigint); CREATE VIEW v AS SELECT a FROM t",
        false,
    )
    .await;
    check(
        "CREATE TABLE t (b int)",
        "CREATE TABLE t (a int, b int)",
        false,
    )
    .await;
    check(
        "CREATE TABLE t (a int) PARTITION BY LIST (a)",
        "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE t_1 PARTITION OF t DEFAULT",
        false,
    )
    .await;
}
