//! The drill: fifty clients at work, another session in the way, a plan approved and run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use af_db::sql::safe::Sql;

use super::{applied, approved, plan, project};
use crate::support::server::{self, Database};

const CLIENTS: usize = 50;

/// Clients that read until they are told to stop.
struct Traffic {
    stop: Arc<AtomicBool>,
    /// The longest read, in microseconds.
    longest: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Traffic {
    async fn start(database: &Database) -> Traffic {
        let (stop, longest, reads) = (Arc::default(), Arc::default(), Arc::default());
        let mut traffic = Traffic {
            stop,
            longest,
            reads,
            clients: Vec::new(),
        };
        for _ in 0..CLIENTS {
            let session = database.session().await;
            let stop = Arc::clone(&traffic.stop);
            let (longest, reads) = (Arc::clone(&traffic.longest), Arc::clone(&traffic.reads));
            traffic.clients.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    session
                        .run(&Sql::new("SELECT id FROM a"))
                        .await
                        .expect("a read");
                    let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    longest.fetch_max(took, Ordering::Relaxed);
                    reads.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }));
        }
        traffic
    }

    async fn stop(self) -> (Duration, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("a client");
        }
        let longest = self.longest.load(Ordering::Relaxed);
        (
            Duration::from_micros(longest),
            self.reads.load(Ordering::Relaxed),
        )
    }
}

#[tokio::test]
async fn readers_hardly_notice_a_run_that_waits_for_a_blocker() {
    let server = server::own(None).await;
    let database = server.database().await;
    let project = project(
        &database.target,
        "protected: true, require: [approved-plan]",
    )
    .await;
    project.write(
        "migrations/V2__b.sql",
        "ALTER TABLE a ADD COLUMN more int;\n",
    );
    project.write(
        "migrations/V2__b.down.sql",
        "ALTER TABLE a DROP COLUMN more;\n",
    );
    let hash = plan(&project, "production").await;
    let traffic = Traffic::start(&database).await;
    let blocker = database.session().await;
    blocker
        .run(&Sql::new(
            "SET application_name = 'report'; BEGIN; SELECT FROM a",
        ))
        .await
        .unwrap();
    let up = approved(&hash);
    let short = [&up[..], &["--lock-budget", "4s"]].concat();
    let ran = project.run(&short).await;
    assert_eq!(ran.status, 75, "{}", ran.seen());
    assert!(
        ran.stderr.contains("report") && ran.stderr.contains("pg_terminate_backend"),
        "{}",
        ran.seen()
    );
    assert_eq!(applied(&database).await, "1");
    blocker.run(&Sql::new("COMMIT")).await.unwrap();
    project.run(&up).await.ok();
    assert_eq!(applied(&database).await, "1,2,3");
    let (longest, reads) = traffic.stop().await;
    // The longest attempt waits for 1.5 s; the machine may be busy besides.
    assert!(longest < Duration::from_secs(4), "a read took {longest:?}");
    assert!(reads > 100, "{reads} reads");
}

#[tokio::test]
async fn a_run_that_others_wait_for_too_long_stops_itself() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    project.write(
        "migrations/V2__b.sql",
        "ALTER TABLE a ADD COLUMN more int;\nSELECT pg_sleep(60);\n",
    );
    let run = project.run(&["up", "--steps", "1", "--block-budget", "1s"]);
    let reader = database.session().await;
    let read = async {
        // It reads as soon as the run has its lock, and then waits for it.
        let looker = database.session().await;
        let locked = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'a'::regclass AND mode = 'AccessExclusiveLock' AND granted)";
        for _ in 0..5000 {
            if server::rows(&looker, locked).await == [["t"]] {
                break;
            }
        }
        reader
            .run(&Sql::new("SELECT FROM a"))
            .await
            .expect("a read");
    };
    let (ran, ()) = tokio::join!(run, read);
    assert_eq!(ran.status, 75, "{}", ran.seen());
    assert!(ran.stderr.contains("blocked by this run"), "{}", ran.seen());
    assert_eq!(applied(&database).await, "1");
}
