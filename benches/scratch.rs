//! How fast a throwaway server is there, and what is left when its owner is killed.
//!
//! `cargo bench --profile dist --bench scratch` measures; `-- 17` starts that major version, fetching it if need be; `-- kill` kills owners at random moments and counts what stays. Not part of the
//! tests: what a busy machine measures proves nothing.

#![expect(clippy::print_stdout, reason = "a measurement is for the terminal")]
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made may stop"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use af_db::event::silent;
use af_db::pg::connect;
use af_db::pg::embedded::{Options, file_lock};
use af_db::pg::shadow_server::{self, ShadowServer};
use af_db::pg::target::Target;
use af_db::sql::safe::Sql;

const ROUNDS: usize = 20;

fn main() {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match arguments.first().map(String::as_str) {
            Some("hold") => hold().await,
            Some("kill") => kill(
                arguments
                    .get(1)
                    .map_or(50, |rounds| rounds.parse().unwrap()),
            ),
            Some(major) if major.parse::<u32>().is_ok() => first(major.parse().unwrap()).await,
            _ => measure().await,
        }
    });
}

/// Starts a server of a major version twice: the first start may have to fetch and prepare it.
async fn first(major: u32) {
    let mut options = Options::defaults();
    options.major = Some(major);
    for start in ["first", "second"] {
        let began = Instant::now();
        let scratch = shadow_server::start(&options, &silent).await.unwrap();
        ask(&scratch.target("postgres").unwrap(), "SELECT 1").await;
        println!("{start}: {:?}, {}", began.elapsed(), scratch.why);
    }
}

async fn measure() {
    let disk = PathBuf::from("/var/tmp");
    for (name, directory, budget) in [("memory", None, 200), ("disk", Some(disk), 900)] {
        let mut options = Options::defaults();
        options.scratch_dir = directory;
        drop(shadow_server::start(&options, &silent).await.unwrap());
        let (mut starts, mut stops) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let scratch = shadow_server::start(&options, &silent).await.unwrap();
            ask(&scratch.target("postgres").unwrap(), "SELECT 1").await;
            starts.push(began.elapsed());
            let began = Instant::now();
            drop(scratch);
            stops.push(began.elapsed());
        }
        show(
            &format!("{name}: warm start to first answer"),
            &mut starts,
            Some(budget),
        );
        show(&format!("{name}: end and removal"), &mut stops, None);
        let scratch = shadow_server::start(&options, &silent).await.unwrap();
        databases(name, &scratch).await;
    }
}

async fn databases(name: &str, scratch: &ShadowServer) {
    let base = scratch.database("base").await.unwrap();
    let tables = "DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format(\
        'CREATE TABLE t%s (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, at timestamptz)', i); \
        END LOOP; END $$";
    ask(&base, tables).await;
    let (mut fresh, mut clones) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let began = Instant::now();
        scratch.database(&format!("fresh{round}")).await.unwrap();
        fresh.push(began.elapsed());
        let began = Instant::now();
        scratch
            .clone_database("base", &format!("clone{round}"))
            .await
            .unwrap();
        clones.push(began.elapsed());
    }
    show(&format!("{name}: fresh database"), &mut fresh, None);
    let budget = (name == "memory").then_some(80);
    show(&format!("{name}: clone of 200 tables"), &mut clones, budget);
}

async fn ask(target: &Target, sql: &'static str) {
    let session = connect::open(target, &silent).await.unwrap();
    session.simple_query(&Sql::new(sql)).await.unwrap();
    session.close().await;
}

fn show(what: &str, times: &mut [Duration], budget: Option<u64>) {
    times.sort();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let median = times[times.len() / 2];
    let budget = budget.map_or(String::new(), |it| format!("   budget {it} ms"));
    println!(
        "{what:40} median {:7.1} ms   min {:7.1}   max {:7.1}{budget}",
        millis(median),
        millis(times[0]),
        millis(times[times.len() - 1]),
    );
}

/// Starts a server, says so, and stays until killed.
async fn hold() {
    println!("started");
    std::io::stdout().flush().unwrap();
    let scratch = shadow_server::start(&Options::defaults(), &silent)
        .await
        .unwrap();
    println!("ready");
    std::io::stdout().flush().unwrap();
    loop {
        scratch.database("busy").await.unwrap();
        scratch.drop_database("busy").await.unwrap();
    }
}

/// Kills owners at random moments from before the start to well after, then counts what is left after ten seconds.
fn kill(rounds: u32) {
    let before = left();
    let mut random = std::process::id();
    for round in 0..rounds {
        #[expect(
            clippy::disallowed_methods,
            reason = "the owner to kill is a process of its own"
        )]
        let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("hold")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Kept open: an owner that cannot say that it is ready would end by itself.
        let mut says = BufReader::new(owner.stdout.take().unwrap());
        says.read_line(&mut String::new()).unwrap();
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(random >> 8) % 300_000));
        owner.kill().unwrap();
        owner.wait().unwrap();
        print!("\rround {}", round + 1);
        std::io::stdout().flush().unwrap();
    }
    let began = Instant::now();
    while left() != before && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
    }
    // What others on the machine have or had is not counted.
    let after = left();
    let (servers, directories, segments) = (
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1),
        after.2.saturating_sub(before.2),
    );
    println!(
        "\n{rounds} owners killed; {:.1} s after the last: {servers} servers, {directories} directories, {segments} segments left",
        began.elapsed().as_secs_f64()
    );
}

/// Counts servers, directories and orphaned shared memory segments of throwaway servers.
fn left() -> (usize, usize, usize) {
    let entries = |directory: &str| std::fs::read_dir(directory).into_iter().flatten().flatten();
    let servers = entries("/proc")
        .filter(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|words| {
                String::from_utf8_lossy(&words).contains(file_lock::SCRATCH_PREFIX)
            })
        })
        .count();
    let directories = ["/dev/shm", "/tmp", "/var/tmp"]
        .iter()
        .flat_map(|base| entries(base))
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(file_lock::SCRATCH_PREFIX)
        })
        .count();
    let table = std::fs::read_to_string(Path::new("/proc/sysvipc/shm")).unwrap_or_default();
    let segments = table
        .lines()
        .skip(1)
        .filter(|line| line.split_whitespace().nth(6) == Some("0"))
        .count();
    (servers, directories, segments)
}
