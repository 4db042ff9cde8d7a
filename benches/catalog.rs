//! How long reading and comparing catalogs takes and how much memory, beside `pg_dump --schema-only`, and what
//! `validate --shadow` costs beside psql.
//!
//! `cargo bench --profile dist --bench catalog` measures on throwaway servers; `-- 3` makes fewer rounds. Not part of the tests: what
//! a busy machine measures proves nothing, so compare the ratios, which come from one run.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made may stop"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use af_db::catalog::{Scope, read};
use af_db::diff;
use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::embedded::{self, Options};
use af_db::pg::shadow_server::{self, ShadowServer};
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match arguments.first().map(String::as_str) {
            Some("read") => alone(&arguments[1], true).await,
            Some("idle") => alone(&arguments[1], false).await,
            rounds => measure(rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(7)).await,
        }
    });
}

/// In a process of its own: connects, reads or does not, says how long it took and the most memory it ever had.
async fn alone(address: &str, reads: bool) {
    let session = connect::open(&Target::parse(address).unwrap(), &silent)
        .await
        .unwrap();
    let began = Instant::now();
    let mut objects = 0;
    if reads {
        let catalog = read::read(&session, &Scope::whole()).await.unwrap();
        objects = catalog.objects.len();
    }
    println!(
        "{} {} {objects}",
        began.elapsed().as_micros(),
        memory("self")
    );
}

/// Gives the most memory a process ever had, in kilobytes.
fn memory(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

async fn measure(rounds: usize) {
    let options = Options::defaults();
    let scratch = shadow_server::start(&options, &silent).await.unwrap();
    let programs = embedded::resolve(&options, &silent).await.unwrap().binaries;
    let pg_dump = programs.program("pg_dump");
    for (name, schemas, tables) in [
        ("many kinds, 40 schemas", 40, 15),
        ("1,000 tables", 1, 1_000),
        ("5,000 tables", 1, 5_000),
    ] {
        let (one, other) = (format!("a{tables}"), format!("b{tables}"));
        let target = scratch.database(&one).await.unwrap();
        fill(&target, schemas, tables).await;
        let second = scratch.clone_database(&one, &other).await.unwrap();
        ask(&second, "ALTER TABLE s0.t0 ADD COLUMN one_more text").await;
        println!("{name}");
        reading(&target, &pg_dump, rounds);
        comparing(&target, &second, rounds).await;
        scratch.drop_database(&one).await.unwrap();
        scratch.drop_database(&other).await.unwrap();
    }
    validating(&scratch, &programs.program("psql"), rounds).await;
}

/// Makes schemas with tables of eight columns, each with keys, an index and a policy.
async fn fill(target: &Target, schemas: usize, tables: usize) {
    for schema in 0..schemas {
        ask(target, &format!("CREATE SCHEMA s{schema}")).await;
        for chunk in (0..tables).step_by(50) {
            let mut sql = String::new();
            for table in chunk..(chunk + 50).min(tables) {
                let above = if table == 0 { 0 } else { table - 1 };
                let _ = write!(
                    sql,
                    "CREATE TABLE s{schema}.t{table} (
                        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
                        tenant_id uuid NOT NULL,
                        above uuid REFERENCES s{schema}.t{above},
                        name text NOT NULL DEFAULT '',
                        amount numeric(12,2) CHECK (amount >= 0),
                        tags text[],
                        details jsonb NOT NULL DEFAULT '{{}}',
                        created_at timestamptz NOT NULL DEFAULT now()
                    );
                    CREATE INDEX t{table}_tenant ON s{schema}.t{table} (tenant_id, created_at);
                    CREATE UNIQUE INDEX t{table}_name ON s{schema}.t{table} (lower(name)) WHERE tags IS NOT NULL;
                    ALTER TABLE s{schema}.t{table} ENABLE ROW LEVEL SECURITY;
                    CREATE POLICY own ON s{schema}.t{table} USING (tenant_id = gen_random_uuid());
                    "
                );
            }
            ask(target, &sql).await;
        }
    }
    ask(target, "ANALYZE").await;
}

async fn ask(target: &Target, sql: &str) {
    let session = connect::open(target, &silent).await.unwrap();
    session.run(&Sql::written_by_user(sql)).await.unwrap();
    session.close().await;
}

/// Reads beside pg_dump, each in a fresh process with a fresh session, in turn.
fn reading(target: &Target, pg_dump: &Path, rounds: usize) {
    let address = address(target);
    let (mut reads, mut dumps, mut most, mut least) = (Vec::new(), Vec::new(), 0, u64::MAX);
    let mut objects = 0;
    for _ in 0..rounds {
        let said = output(
            std::env::current_exe().unwrap().as_path(),
            &["read", &address],
        );
        let words: Vec<u64> = said
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        reads.push(Duration::from_micros(words[0]));
        (most, objects) = (most.max(words[1]), words[2]);
        let said = output(
            std::env::current_exe().unwrap().as_path(),
            &["idle", &address],
        );
        least = least.min(said.split_whitespace().nth(1).unwrap().parse().unwrap());
        let began = Instant::now();
        output(pg_dump, &["-s", "-f", "/dev/null", "-d", &address]);
        dumps.push(began.elapsed());
    }
    let (read, dump) = (median(&mut reads), median(&mut dumps));
    println!(
        "  reading {objects} objects: {:.0} ms, {} MB above an empty process; pg_dump -s {:.0} ms, ratio {:.2}",
        millis(read),
        most.saturating_sub(least) / 1024,
        millis(dump),
        read.as_secs_f64() / dump.as_secs_f64()
    );
}

/// Compares two live databases as the program does, beside reading both at once and no more.
async fn comparing(one: &Target, other: &Target, rounds: usize) {
    let (mut only, mut whole, mut most) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let began = Instant::now();
        let both = async |target: &Target| {
            let session = connect::open(target, &silent).await.unwrap();
            read::read(&session, &Scope::whole()).await.unwrap()
        };
        let (from, to) = futures_util::future::join(both(one), both(other)).await;
        only.push(began.elapsed());
        drop((from, to));
        let (took, memory) = program(&["diff", &address(one), &address(other)], Path::new("/"), 1);
        whole.push(took);
        most = most.max(memory);
    }
    let session = connect::open(one, &silent).await.unwrap();
    let from = read::read(&session, &Scope::whole()).await.unwrap();
    let session = connect::open(other, &silent).await.unwrap();
    let to = read::read(&session, &Scope::whole()).await.unwrap();
    let began = Instant::now();
    let changes = diff::between(&from, &to).len();
    let compared = began.elapsed();
    let (only, whole) = (median(&mut only), median(&mut whole));
    println!(
        "  af-db diff {:.0} ms, {} MB; reading both {:.0} ms, ratio {:.2}; in memory {:.1} ms for {changes} change(s)",
        millis(whole),
        most / 1024,
        millis(only),
        whole.as_secs_f64() / only.as_secs_f64(),
        millis(compared)
    );
}

/// Runs `validate --shadow` on the reference project, and on 500 migrations beside psql.
async fn validating(scratch: &ShadowServer, psql: &Path, rounds: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut times = Vec::new();
    for _ in 0..rounds {
        times.push(program(&["validate", "--shadow"], root, 0).0);
    }
    println!(
        "validate --shadow of the reference project: {:.0} ms",
        millis(median(&mut times))
    );
    let folder = tempfile::tempdir().unwrap();
    let migrations = folder.path().join("migrations");
    std::fs::create_dir(&migrations).unwrap();
    let mut files = Vec::new();
    for number in 1..=500 {
        let path = migrations.join(format!("V{number}__table_{number}.sql"));
        let text = format!(
            "CREATE TABLE t{number} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, at timestamptz);\n\
             CREATE INDEX t{number}_name ON t{number} (name);\nALTER TABLE t{number} ADD COLUMN note text;\n"
        );
        std::fs::write(&path, text).unwrap();
        files.push(path.to_string_lossy().into_owned());
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        ours.push(program(&["validate", "--shadow"], folder.path(), 2).0);
        let target = scratch.database(&format!("psql{round}")).await.unwrap();
        let address = address(&target);
        let mut words = vec!["-qX", "-d", &address];
        for file in &files {
            words.extend(["-f", file]);
        }
        let began = Instant::now();
        output(psql, &words);
        theirs.push(began.elapsed());
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!(
        "validate --shadow of 500 migrations: {:.0} ms; psql {:.0} ms; allowed {:.0} ms",
        millis(ours),
        millis(theirs),
        millis(theirs) * 1.3 + 1000.0
    );
}

/// Runs the program; gives how long it took and the most memory it had, in kilobytes.
fn program(arguments: &[&str], folder: &Path, most: i32) -> (Duration, u64) {
    let began = Instant::now();
    #[expect(
        clippy::disallowed_methods,
        reason = "the program measured is a process"
    )]
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_af-db"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut memory_now = 0;
    let status = loop {
        if let Ok(text) = std::fs::read_to_string(format!("/proc/{}/status", child.id()))
            && let Some(line) = text.lines().find(|line| line.starts_with("VmHWM"))
        {
            let words = line.split_whitespace().nth(1);
            memory_now = words
                .and_then(|word| word.parse().ok())
                .unwrap_or(memory_now);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(
        status.code().is_some_and(|code| code <= most),
        "{arguments:?} ended with {status}"
    );
    (began.elapsed(), memory_now)
}

fn output(program: &Path, arguments: &[&str]) -> String {
    #[expect(clippy::disallowed_methods, reason = "what is measured is a process")]
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn address(target: &Target) -> String {
    let host = &target.hosts[0];
    format!(
        "host='{}' port={} user={} dbname={} sslmode=disable",
        host.name,
        host.port,
        target.user.as_deref().unwrap_or("postgres"),
        target.database()
    )
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
