//! What only rows can answer is asked of the target before anything starts, and bounded.

use std::time::Duration;

use af_db::catalog::read;
use af_db::event::silent;
use af_db::plan::observe::row_checks::{RowCheckOutcome, RowCheckResult, ask};
use af_db::plan::observe::run;
use af_db::shadow::schema_clone;

use super::support::step;
use crate::support::server;

const SCHEMA: &str = "
CREATE DOMAIN mail AS text;
CREATE TABLE buyers (id int PRIMARY KEY);
CREATE TABLE sales (
    id int PRIMARY KEY, buyer_id int, note text, pieces bigint, amount numeric(10, 2), code varchar(20), word text
);
CREATE TABLE letters (sender mail, value int);
CREATE TABLE events (at date) PARTITION BY RANGE (at);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE events_1 (at date);
";

/// Of each thing asked about, one row is at odds with it.
const BAD: &str = "
INSERT INTO buyers VALUES (1);
INSERT INTO sales VALUES (1, 1, 'a', 1, 1, 'a', '1'), (2, 7, NULL, 3000000000, 99999, 'longer than ten', 'x'), (3, 1, 'a', -1, 1, 'a', '2');
INSERT INTO letters VALUES ('a@b', 1), ('a', 2), (NULL, 3);
INSERT INTO events_rest VALUES ('2024-03-03');
INSERT INTO events_1 VALUES ('2020-01-01');
";

const GOOD: &str = "
INSERT INTO letters VALUES ('a@b', 1), ('c@d', 2);
INSERT INTO buyers VALUES (1);
INSERT INTO sales VALUES (1, 1, 'a', 1, 1, 'a', '1'), (3, 1, 'b', 2, 1, 'b', '2'), (4, NULL, 'c', 3, 1, 'c', '3');
";

/// The statements, and the SQLSTATE that rows at odds with them give.
const CASES: [(&str, &str); 15] = [
    (
        "ALTER DOMAIN mail ADD CONSTRAINT has_at CHECK (VALUE LIKE '%@%')",
        "23514",
    ),
    ("ALTER DOMAIN mail SET NOT NULL", "23502"),
    ("ALTER TABLE sales ALTER note SET NOT NULL", "23502"),
    ("ALTER TABLE sales ADD COLUMN must int NOT NULL", "23502"),
    ("ALTER TABLE sales ADD CHECK (pieces > 0)", "23514"),
    (
        "ALTER TABLE sales ADD FOREIGN KEY (buyer_id) REFERENCES buyers",
        "23503",
    ),
    (
        "CREATE UNIQUE INDEX ON sales (lower(code)) WHERE id <> 2",
        "23505",
    ),
    ("ALTER TABLE sales ADD UNIQUE (code)", "23505"),
    ("ALTER TABLE sales ALTER pieces TYPE int", "22003"),
    ("ALTER TABLE sales ALTER amount TYPE numeric(4, 2)", "22003"),
    ("ALTER TABLE sales ALTER code TYPE varchar(10)", "22001"),
    (
        "ALTER TABLE sales ALTER word TYPE int USING word::int",
        "22000",
    ),
    (
        "DO $$ BEGIN ALTER TABLE sales ALTER note SET NOT NULL; END $$",
        "23502",
    ),
    (
        "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')",
        "23514",
    ),
    (
        "ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM ('2025-03-01') TO ('2025-04-01')",
        "23514",
    ),
];

/// Plans one step for a database and asks it.
async fn answers(database: &server::Database, name: &str, text: &str) -> Vec<RowCheckResult> {
    let session = database.session().await;
    let catalog = read::read(&session, &schema_clone::scope())
        .await
        .expect("a catalog");
    let scratch = server::own(None).await;
    let shadow = schema_clone::build(&scratch.scratch, name, &catalog, &[])
        .await
        .expect("a shadow");
    let observed = run::steps(&shadow.shadow.target, &[step(name, text)], &silent)
        .await
        .expect("an observation");
    ask(&session, &observed, Duration::from_secs(5))
        .await
        .expect("answers")
}

#[tokio::test]
async fn rows_that_violate_constraints_are_found_before_the_run() {
    let mut texts = Vec::new();
    for (text, _) in CASES {
        texts.push(text.to_owned());
    }
    let server = server::own(None).await;
    for (rows, fails) in [(BAD, true), (GOOD, false)] {
        let database = server.database().await;
        database.run(SCHEMA).await;
        let session = database.session().await;
        let catalog = read::read(&session, &schema_clone::scope())
            .await
            .expect("a catalog");
        let name = format!("shadow_{fails}");
        let shadow = schema_clone::build(&server.scratch, &name, &catalog, &[])
            .await
            .expect("a shadow");
        database.run(rows).await;
        let steps: Vec<_> = texts.iter().map(|text| step(text, text)).collect();
        let observed = run::each(&shadow.shadow.target, &steps)
            .await
            .expect("observations");
        for (at, (text, sqlstate)) in CASES.iter().enumerate() {
            let answers = ask(&session, &observed[at..=at], Duration::from_secs(5))
                .await
                .expect("answers");
            // A new partition asks of itself and of the default partition.
            assert!(
                !answers.is_empty() && answers.len() <= 2,
                "{text}: {answers:#?}"
            );
            for answer in &answers {
                assert_eq!(answer.question.sqlstate, *sqlstate, "{text}");
                let asked = !matches!(answer.outcome, RowCheckOutcome::NotAsked(_));
                assert!(asked, "{text}: {answer:#?}");
            }
            let failed =
                |answer: &RowCheckResult| matches!(answer.outcome, RowCheckOutcome::Fails(_));
            // A new column without a value fails wherever there are rows.
            let expected = fails || text.contains("must");
            assert_eq!(answers.iter().any(failed), expected, "{text}: {answers:#?}");
        }
    }
}

#[tokio::test]
async fn rows_fixed_by_an_earlier_statement_are_reported() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    database.run(BAD).await;
    let text = "UPDATE sales SET note = '' WHERE note IS NULL; ALTER TABLE sales ALTER note SET NOT NULL; \
                ALTER TABLE sales ADD COLUMN more int; ALTER TABLE sales ADD CHECK (more > 0)";
    let answers = answers(&database, "mended", text).await;
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers[0].may_change && answers[0].statement == 2);
}

#[tokio::test]
async fn row_checks_that_take_too_long_are_unknown() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    database.run(BAD).await;
    let holder = database.session().await;
    let lock = af_db::sql::safe::Sql::new("BEGIN; LOCK TABLE sales");
    holder.run(&lock).await.expect("a lock");
    let session = database.session().await;
    let scratch = server::own(None).await;
    let other = scratch.database().await;
    other.run(SCHEMA).await;
    let text = "ALTER TABLE sales ALTER note SET NOT NULL";
    let observed = run::steps(&other.target, &[step("x", text)], &silent)
        .await
        .expect("an observation");
    let answers = ask(&session, &observed, Duration::from_millis(200))
        .await
        .expect("answers");
    assert!(
        matches!(&answers[0].outcome, RowCheckOutcome::NotAsked(_)),
        "{answers:#?}"
    );
}

#[tokio::test]
async fn non_transactional_index_builds_raise_row_checks() {
    let text = |what: &str| {
        format!("-- af-db: no-transaction\nCREATE {what} INDEX CONCURRENTLY ON sales (note);\n")
    };
    for (rows, what, fails) in [
        (BAD, "UNIQUE", true),
        (GOOD, "UNIQUE", false),
        (BAD, "", false),
    ] {
        let database = server::database().await;
        database.run(SCHEMA).await;
        database.run(rows).await;
        let answers = answers(&database, "alone", &text(what)).await;
        let failed = |answer: &RowCheckResult| matches!(answer.outcome, RowCheckOutcome::Fails(_));
        assert_eq!(answers.iter().any(failed), fails, "{what}: {answers:#?}");
        assert_eq!(answers.is_empty(), what.is_empty(), "{what}: {answers:#?}");
    }
}
