//! What watching costs: the same statements on a shadow of many tables, run as they are and run watched.
//!
//! `cargo bench --bench observe` measures 5,000 tables; `-- 500` another number. `-- verdicts FILE` prints instead, for
//! each line of a list of statements on the schema beside it, what was observed: `benches/linters.py` compares that with
//! other tools. Not part of the tests: what a busy machine measures proves nothing.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made may stop"
)]

use std::time::{Duration, Instant};

use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::embedded::Options;
use af_db::pg::scratch::{self, Scratch};
use af_db::pg::session::Session;
use af_db::pg::target::Target;
use af_db::plan::observe::{How, StatementObservation, run};
use af_db::plan::{Mode, Step};
use af_db::sql::safe::Sql;
use af_db::sql::split;

const ROUNDS: usize = 5;

/// How many tables are migrated.
const TABLES: usize = 40;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        if let Some(at) = arguments.iter().position(|it| it == "verdicts") {
            return verdicts(&arguments[at + 1]).await;
        }
        let scratch = scratch::start(&Options::unsaid(), &silent).await.unwrap();
        let tables = arguments.iter().find_map(|it| it.parse().ok());
        measure(&scratch, tables.unwrap_or(5000)).await;
    });
}

/// What a migration is made of, on a table that is there.
fn text(round: usize, n: usize) -> String {
    format!(
        "ALTER TABLE t{n} ADD COLUMN c{round} int;
         CREATE INDEX ON t{n} (tenant_id, c{round});
         COMMENT ON TABLE t{n} IS 'round {round}';
         INSERT INTO t{n} (id, tenant_id) VALUES ({round}, 1);
         CREATE TABLE made_{round}_{n} (id int PRIMARY KEY);
         "
    )
}

/// The same statements, as migrations of a table each, or as one.
fn texts(round: usize, files: usize) -> Vec<String> {
    let each: Vec<String> = (1..=TABLES).map(|n| text(round, n)).collect();
    each.chunks(TABLES / files)
        .map(|some| some.concat())
        .collect()
}

fn step(label: &str, text: String) -> Step {
    Step {
        label: label.to_owned(),
        text: text.into(),
        mode: Mode::Transaction,
        timeout: None,
        done: 0,
        uncertain: false,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn measure(scratch: &Scratch, tables: usize) {
    let target = scratch.database("observed").await.unwrap();
    let session = connect::open(&target, &silent).await.unwrap();
    // In pieces, so that the locks of one transaction have room.
    for from in (1..=tables).step_by(500) {
        let mut sql = String::new();
        for n in from..=(from + 499).min(tables) {
            sql.push_str(&format!(
                "CREATE TABLE t{n} (id bigint PRIMARY KEY, tenant_id bigint NOT NULL, a text);"
            ));
        }
        session.run(&Sql::written_by_user(sql)).await.unwrap();
    }
    println!("{tables} tables, medians of {ROUNDS} rounds");
    let mut round = 0;
    for files in [TABLES, 1] {
        compare((&session, &target), files, &mut round).await;
    }
}

async fn compare((session, target): (&Session, &Target), files: usize, round: &mut usize) {
    let (mut plain, mut watched, mut empty) = (Vec::new(), Vec::new(), Vec::new());
    let statements = split::split(&texts(0, 1)[0]).len();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for text in texts(*round, files) {
            session.run(&Sql::new("BEGIN")).await.unwrap();
            for statement in split::statements(&text) {
                let sql = Sql::written_by_user(statement.text);
                session.run(&sql).await.unwrap();
            }
            session.run(&Sql::new("COMMIT")).await.unwrap();
        }
        plain.push(began.elapsed());
        let began = Instant::now();
        run::steps(target, &[], &silent).await.unwrap();
        empty.push(began.elapsed());
        let texts = texts(*round + 1, files).into_iter();
        let steps: Vec<Step> = texts.map(|text| step("V1__x.sql", text)).collect();
        let began = Instant::now();
        let observed = run::steps(target, &steps, &silent).await.unwrap();
        watched.push(began.elapsed());
        let failed = observed.iter().find_map(|step| step.failed());
        assert!(failed.is_none(), "{failed:?}");
        *round += 2;
    }
    let (plain, watched, empty) = (median(plain), median(watched), median(empty));
    let each =
        |time: Duration| time.as_secs_f64() * 1e6 / f64::from(u32::try_from(statements).unwrap());
    println!("{statements} statements in {files} files:");
    println!("  as they are       {:>9.1} us a statement", each(plain));
    println!(
        "  watched           {:>9.1} us a statement",
        each(watched.saturating_sub(empty))
    );
    println!(
        "  watching costs    {:>9.1} us a statement, and {:.0} ms once",
        each(watched.saturating_sub(empty)) - each(plain),
        empty.as_secs_f64() * 1e3
    );
}

/// Says whether a statement hurts: work or a loss that others wait for, or that cannot be undone.
fn hurts(seen: &StatementObservation) -> bool {
    let locks = seen.locks.iter();
    let blocked: Vec<&str> = locks
        .filter(|lock| lock.mode.blocks_writes())
        .map(|lock| lock.relation.as_str())
        .collect();
    let works = seen
        .scans
        .iter()
        .any(|it| blocked.contains(&it.relation.as_str()))
        || seen
            .builds
            .iter()
            .any(|it| blocked.contains(&it.relation.as_str()));
    let rewrites = seen.rewrites.iter().any(|it| it.how != How::Truncated);
    let loses = seen.dropped.iter().any(|it| it.loses.is_some())
        || seen.rewrites.iter().any(|it| it.how == How::Truncated);
    let rows = seen.verb.starts_with("DELETE") || seen.verb.starts_with("UPDATE");
    works || rewrites || loses || rows && !seen.scans.is_empty()
}

/// Prints for each statement whether it hurts, what was seen, and the statement.
async fn verdicts(list: &str) {
    let folder = std::path::Path::new(list).parent().unwrap();
    let options = Options {
        major: Some(15),
        ..Options::unsaid()
    };
    let scratch = scratch::start(&options, &silent).await.unwrap();
    let schema = std::fs::read_to_string(folder.join("schema.sql")).unwrap();
    let text = std::fs::read_to_string(list).unwrap();
    scratch.database("schema").await.unwrap();
    let session = connect::open(&scratch.target("schema").unwrap(), &silent)
        .await
        .unwrap();
    session.run(&Sql::written_by_user(schema)).await.unwrap();
    session.close().await;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("--") || line.ends_with("+") {
            continue;
        }
        let (statement, note) = line.rsplit_once("; -- ").unwrap_or((line, ""));
        let before = note
            .strip_prefix("after ")
            .map_or(String::new(), |it| format!("{it}; "));
        let mut step = step(statement, format!("{before}{statement}"));
        if note == "alone" {
            step.mode = Mode::Statements;
        }
        let shadow = scratch
            .clone_database("schema", &format!("s{number}"))
            .await
            .unwrap();
        let observed = run::steps(&shadow, &[step], &silent).await.unwrap();
        let seen = observed[0].statements.last().unwrap();
        if seen.failed.is_none() {
            println!(
                "{}\t{}",
                if hurts(seen) { "hurts" } else { "harmless" },
                line
            );
        }
        scratch.drop_database(&format!("s{number}")).await.unwrap();
    }
}
