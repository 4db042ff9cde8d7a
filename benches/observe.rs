//! What watching costs: the same statements on a shadow of many tables, run as they are and run watched.
//!
//! `cargo bench --profile dist --bench observe` measures 5,000 tables; `-- 500` another number. `-- verdicts FILE` prints instead, for
//! each line of a list of statements on the schema beside it, what was observed: `benches/linters.py` compares that with
//! other tools. Not part of the tests: what a busy machine measures proves nothing.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made may stop"
)]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use af_db::event::{Event, silent};
use af_db::pg::connect;
use af_db::pg::embedded::Options;
use af_db::pg::session::Session;
use af_db::pg::shadow_server::{self, ShadowServer};
use af_db::pg::target::Target;
use af_db::plan::observe::{RewriteKind, StatementObservation, run};
use af_db::plan::{Mode, Step};
use af_db::sql::safe::Sql;
use af_db::sql::split;

const ROUNDS: usize = 7;

/// How many files of each kind are measured in a round.
const FILES: usize = 3;

/// How many statements a file has, all about one table.
const STATEMENTS: usize = 8;

/// How many tables a crowded file is about, whose locks it holds until its end.
const CROWD: usize = 40;

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
        // As a plan does for a live server that nobody has configured.
        let options = Options {
            locks: Some(6_400),
            ..Options::defaults()
        };
        let scratch = shadow_server::start(&options, &silent).await.unwrap();
        let tables = arguments.iter().find_map(|it| it.parse().ok());
        measure(&scratch, tables.unwrap_or(5000)).await;
    });
}

/// What migrations are made of; each is the `k`th of its kind on a table that is there.
const KINDS: [fn(&str, usize) -> String; 20] = [
    |t, k| format!("ALTER TABLE {t} ADD COLUMN c{k} int"),
    |t, k| format!("ALTER TABLE {t} ALTER COLUMN a{k} SET DEFAULT 1"),
    |t, k| format!("ALTER TABLE {t} ALTER COLUMN a{k} SET NOT NULL"),
    |t, k| format!("ALTER TABLE {t} ALTER COLUMN b{k} TYPE bigint"),
    |t, k| format!("ALTER TABLE {t} RENAME COLUMN a{k} TO r{k}"),
    |t, k| format!("ALTER TABLE {t} DROP COLUMN b{k}"),
    |t, k| format!("ALTER TABLE {t} ADD CONSTRAINT k{k} CHECK (tenant_id > {k}) NOT VALID"),
    |t, k| format!("ALTER TABLE {t} ADD CONSTRAINT f{k} FOREIGN KEY (of) REFERENCES {t} NOT VALID"),
    |t, k| format!("CREATE INDEX ON {t} (tenant_id, id) WHERE id > {k}"),
    |t, k| format!("CREATE TABLE {t}_{k} (id int PRIMARY KEY, of bigint REFERENCES {t})"),
    |t, k| format!("CREATE VIEW {t}_v{k} AS SELECT id, tenant_id FROM {t}"),
    |t, k| format!("CREATE FUNCTION {t}_f{k}() RETURNS int LANGUAGE sql AS 'SELECT {k}'"),
    |t, k| format!("INSERT INTO {t} (id, tenant_id) VALUES ({k}, 1000)"),
    |t, k| format!("UPDATE {t} SET tenant_id = {k} + 1000 WHERE of IS NULL"),
    |t, k| format!("COMMENT ON TABLE {t} IS 'the {k}th'"),
    |t, k| {
        let how = ["ENABLE", "FORCE", "NO FORCE", "DISABLE"][k % 4];
        format!("ALTER TABLE {t} {how} ROW LEVEL SECURITY")
    },
    |t, k| format!("CREATE POLICY p{k} ON {t} USING (tenant_id = {k})"),
    |t, k| {
        let what = ["SELECT", "INSERT", "UPDATE", "DELETE"][k % 4];
        format!("GRANT {what} ON {t} TO pg_monitor")
    },
    |t, k| format!("GRANT SELECT (id), UPDATE (tenant_id) ON {t} TO role_{k}"),
    |t, k| {
        format!("CREATE TRIGGER g{k} BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION touched()")
    },
];

/// The tables, each of which is written to by one file only.
struct Fresh(usize);

impl Fresh {
    fn table(&mut self) -> String {
        self.0 += 1;
        format!("t{}", self.0)
    }

    /// Gives a file of each kind, each about a table of its own.
    fn files(&mut self) -> Vec<String> {
        let all = KINDS.iter().map(|kind| {
            let table = self.table();
            let text = (0..STATEMENTS).map(|k| kind(&table, k) + ";\n");
            text.collect()
        });
        all.collect()
    }

    /// Gives a file that does everything to many tables.
    fn crowded(&mut self) -> String {
        let tables: Vec<String> = (0..CROWD).map(|_| self.table()).collect();
        let each = tables.iter().flat_map(|table| {
            // A column cannot be renamed and go on under its name.
            let (kinds, k) = (KINDS.iter().enumerate(), |kind| kind % STATEMENTS);
            kinds.map(move |(at, kind)| kind(table, k(at)) + ";\n")
        });
        each.collect()
    }
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
    let half = figures.len() / 2;
    f64::midpoint(figures[half], figures[figures.len() - 1 - half])
}

/// Gives microseconds a statement.
fn per(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap())
}

async fn measure(scratch: &ShadowServer, tables: usize) {
    let target = scratch.database("observed").await.unwrap();
    let session = connect::open(&target, &silent).await.unwrap();
    // In pieces, so that the locks of one transaction have room.
    for from in (1..=tables).step_by(500) {
        let mut sql = String::new();
        for n in from..=(from + 499).min(tables) {
            sql.push_str(&format!(
                "CREATE TABLE t{n} (id bigint PRIMARY KEY, tenant_id bigint NOT NULL, of bigint"
            ));
            for column in 0..STATEMENTS {
                sql.push_str(&format!(", a{column} int DEFAULT 0, b{column} int"));
            }
            sql.push_str(");");
        }
        session.run(&Sql::written_by_user(sql)).await.unwrap();
    }
    let roles = (0..STATEMENTS).map(|k| format!("CREATE ROLE role_{k};"));
    let trigger =
        "CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'";
    let others = roles.collect::<String>() + trigger;
    session.run(&Sql::written_by_user(others)).await.unwrap();
    println!("{tables} tables; watched less not watched, side by side, medians of {ROUNDS} rounds");
    let mut fresh = Fresh(0);
    each((&session, &target), &mut fresh).await;
    crowded((&session, &target), &mut fresh).await;
}

/// Runs files as they are, and gives how long each took.
async fn plain(session: &Session, texts: &[String]) -> Vec<Duration> {
    let mut took = Vec::new();
    for text in texts {
        let began = Instant::now();
        session.run(&Sql::new("BEGIN")).await.unwrap();
        for statement in split::statements(text) {
            let sql = Sql::written_by_user(statement.text);
            session.run(&sql).await.unwrap();
        }
        session.run(&Sql::new("COMMIT")).await.unwrap();
        took.push(began.elapsed());
    }
    took
}

/// Runs files watched; gives how long each took, and what was spent before the first and behind the last.
async fn watched(target: &Target, texts: Vec<String>) -> (Vec<Duration>, Duration) {
    let texts = texts.into_iter();
    let steps: Vec<Step> = texts.map(|text| step("V1__x.sql", text)).collect();
    let told = Mutex::new(Vec::new());
    let watch = |event: Event<'_>| {
        if matches!(event, Event::Advanced { .. } | Event::Ended) {
            told.lock().unwrap().push(Instant::now());
        }
    };
    let began = Instant::now();
    let observed = run::steps(target, &steps, &watch).await.unwrap();
    let whole = began.elapsed();
    let failed = observed.iter().find_map(|step| step.failed());
    assert!(failed.is_none(), "{failed:?}");
    let told = told.into_inner().unwrap();
    let took: Vec<Duration> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let once = whole - took.iter().sum::<Duration>();
    (took, once)
}

/// Measures each kind of statement for itself, in files about one table, so that the median of all can be told.
async fn each((session, target): (&Session, &Target), fresh: &mut Fresh) {
    let mut without = vec![Vec::new(); KINDS.len()];
    let mut with = without.clone();
    let mut opening = Vec::new();
    for _ in 0..ROUNDS {
        let files = |fresh: &mut Fresh| (0..FILES).flat_map(|_| fresh.files()).collect::<Vec<_>>();
        let (ours, theirs) = (files(fresh), files(fresh));
        for (at, took) in plain(session, &theirs).await.into_iter().enumerate() {
            without[at % KINDS.len()].push(per(took, STATEMENTS));
        }
        let (took, once) = watched(target, ours).await;
        for (at, took) in took.into_iter().enumerate() {
            with[at % KINDS.len()].push(per(took, STATEMENTS));
        }
        opening.push(once.as_secs_f64() * 1e3);
    }
    println!("files of {STATEMENTS} statements of a kind on one table, microseconds a statement:");
    println!("  watching  as it is");
    let mut costs = Vec::new();
    for ((kind, with), without) in KINDS.iter().zip(with).zip(without) {
        let plain = median(without);
        let cost = median(with) - plain;
        println!("  {cost:>8.1}  {plain:>8.1}  {}", kind("t", 1));
        costs.push(cost);
    }
    println!("  {:>8.1}            at the median", median(costs));
    println!("  and {:.0} ms once", median(opening));
}

/// Measures files that lock many tables: what is looked at after a statement is all that the transaction has locked.
async fn crowded((session, target): (&Session, &Target), fresh: &mut Fresh) {
    let count = CROWD * KINDS.len();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, theirs) = (fresh.crowded(), fresh.crowded());
        without.push(per(plain(session, &[theirs]).await[0], count));
        with.push(per(watched(target, vec![ours]).await.0[0], count));
    }
    let (without, with) = (median(without), median(with));
    println!(
        "one file of {count} statements of all kinds on {CROWD} tables, microseconds a statement:"
    );
    println!("  {:>8.1}  {without:>8.1}  on average", with - without);
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
    let rewrites = seen
        .rewrites
        .iter()
        .any(|it| it.how != RewriteKind::Truncated);
    let loses = seen.dropped.iter().any(|it| it.loses.is_some())
        || seen
            .rewrites
            .iter()
            .any(|it| it.how == RewriteKind::Truncated);
    let rows = seen.verb.starts_with("DELETE") || seen.verb.starts_with("UPDATE");
    works || rewrites || loses || rows && !seen.scans.is_empty()
}

/// Prints for each statement whether it hurts, what was seen, and the statement.
async fn verdicts(list: &str) {
    let folder = std::path::Path::new(list).parent().unwrap();
    let options = Options {
        major: Some(15),
        ..Options::defaults()
    };
    let scratch = shadow_server::start(&options, &silent).await.unwrap();
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
