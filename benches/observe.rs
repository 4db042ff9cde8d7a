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

/// What migrations are made of, on a table that is there.
fn statements(round: usize, n: usize) -> [String; 9] {
    [
        format!("ALTER TABLE t{n} ADD COLUMN c{round} int"),
        format!("CREATE INDEX ON t{n} (tenant_id, c{round})"),
        format!("COMMENT ON TABLE t{n} IS 'round {round}'"),
        format!("INSERT INTO t{n} (id, tenant_id) VALUES ({round}, 1)"),
        format!("CREATE TABLE made_{round}_{n} (id int PRIMARY KEY, of bigint REFERENCES t{n})"),
        format!("ALTER TABLE t{n} ALTER COLUMN c{round} SET DEFAULT 1"),
        format!("UPDATE t{n} SET c{round} = 1 WHERE c{round} IS NULL"),
        format!("ALTER TABLE t{n} ALTER COLUMN c{round} SET NOT NULL"),
        format!("GRANT SELECT (c{round}) ON t{n} TO pg_monitor"),
    ]
}

/// The same statements, as migrations of a table each, or as one.
fn texts(round: usize, files: usize) -> Vec<String> {
    let each: Vec<String> = (1..=TABLES)
        .map(|n| statements(round, n).join(";\n") + ";\n")
        .collect();
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

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn per(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap())
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
    println!("{tables} tables; watched less not watched, side by side, medians of {ROUNDS} rounds");
    let mut round = 0;
    for files in [TABLES, 1] {
        compare((&session, &target), files, &mut round).await;
    }
    each((&session, &target), &mut round).await;
}

/// Runs files as they are.
async fn plain(session: &Session, texts: &[String]) -> Duration {
    let began = Instant::now();
    for text in texts {
        session.run(&Sql::new("BEGIN")).await.unwrap();
        for statement in split::statements(text) {
            let sql = Sql::written_by_user(statement.text);
            session.run(&sql).await.unwrap();
        }
        session.run(&Sql::new("COMMIT")).await.unwrap();
    }
    began.elapsed()
}

/// Runs files watched; gives also what watching costs where there is no file.
async fn watched(target: &Target, texts: Vec<String>) -> (Duration, Duration) {
    let began = Instant::now();
    run::steps(target, &[], &silent).await.unwrap();
    let empty = began.elapsed();
    let texts = texts.into_iter();
    let steps: Vec<Step> = texts.map(|text| step("V1__x.sql", text)).collect();
    let began = Instant::now();
    let observed = run::steps(target, &steps, &silent).await.unwrap();
    let took = began.elapsed();
    let failed = observed.iter().find_map(|step| step.failed());
    assert!(failed.is_none(), "{failed:?}");
    (took.saturating_sub(empty), empty)
}

async fn compare((session, target): (&Session, &Target), files: usize, round: &mut usize) {
    let count = split::split(&texts(0, 1)[0]).len();
    let (mut without, mut with, mut once) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(per(plain(session, &texts(*round, files)).await, count));
        let (took, empty) = watched(target, texts(*round + 1, files)).await;
        with.push(per(took, count));
        once.push(empty.as_secs_f64() * 1e3);
        *round += 2;
    }
    let (without, with, once) = (median(without), median(with), median(once));
    println!(
        "{count} statements in {files} files, all they cost together: {without:.1} us a statement as they are,"
    );
    println!(
        "  watched {with:.1}: {:.1} us for watching, and {once:.0} ms once",
        with - without
    );
}

/// Measures each kind of statement for itself, a file of it for all tables, so that the median of all can be told.
async fn each((session, target): (&Session, &Target), round: &mut usize) {
    let kinds = statements(0, 0).len();
    let mut costs = vec![Vec::new(); kinds];
    for _ in 0..ROUNDS {
        let of = |round: usize, kind: usize| -> String {
            let each = (1..=TABLES).map(|n| statements(round, n)[kind].clone() + ";\n");
            each.collect()
        };
        for (kind, costs) in costs.iter_mut().enumerate() {
            let without = plain(session, &[of(*round, kind)]).await;
            let (with, _) = watched(target, vec![of(*round + 1, kind)]).await;
            costs.push(per(with, TABLES) - per(without, TABLES));
        }
        *round += 2;
    }
    println!("each kind for itself, {TABLES} in a file:");
    let medians: Vec<f64> = costs.into_iter().map(median).collect();
    for (statement, cost) in statements(0, 0).iter().zip(&medians) {
        println!("  {cost:>7.1} us  {statement}");
    }
    println!("  {:>7.1} us  at the median", median(medians));
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
        // Nothing here has loaded who would read a label, so the server refuses it.
        let refused = seen.failed.is_some() || line.starts_with("SECURITY LABEL");
        if !refused {
            println!(
                "{}\t{}",
                if hurts(seen) { "hurts" } else { "harmless" },
                line
            );
        }
        scratch.drop_database(&format!("s{number}")).await.unwrap();
    }
}
