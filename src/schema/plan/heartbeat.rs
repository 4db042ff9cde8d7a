//! Watches a run: reports progress and blocked sessions, and stops the run when others are blocked too long.
//!
//! It uses a separate connection and affects the run only by cancelling it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::event::{Event, Watch, silent};
use crate::pg::cancel::Canceller;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::redact;

/// How often progress is reported.
const TOLD: Duration = Duration::from_secs(5);

/// How often the server is queried.
const LOOKED: Duration = Duration::from_secs(1);

/// What is watched.
pub struct Heartbeat<'a> {
    /// The server process of the run.
    pub pid: i32,
    /// What cancels its statement.
    pub canceller: Canceller,
    /// How long others may wait for us.
    pub budget: Duration,
    /// The receiver of events.
    pub watch: Watch<'a>,
    /// The statement of the file that runs, as the run itself says: the server sees it after statements of ours.
    pub running: Mutex<Option<String>>,
    /// Why the run was stopped, once it was.
    pub stopped: Mutex<Option<String>>,
}

/// One query of the server.
struct HeartbeatSample {
    /// What runs, how far it is, and for how long; absent between statements.
    progress: Option<String>,
    waiting: i64,
    longest: f64,
    /// Who waits longest.
    who: Option<String>,
}

impl Heartbeat<'_> {
    /// Watches until dropped, or until the run has been cancelled.
    pub async fn run(&self, target: &Target) {
        // A short run needs no monitoring, and no second connection.
        tokio::time::sleep(LOOKED).await;
        let mut session = None;
        let mut told = Instant::now();
        loop {
            if session.is_none() {
                // Looking is a convenience; where no second connection can be had the run continues unwatched.
                session = connect::open(target, &silent).await.ok();
            }
            let seen = match &session {
                Some(session) => self.look(session).await.ok(),
                None => None,
            };
            match seen {
                Some(look) => {
                    if look.waiting > 0 && look.longest > self.budget.as_secs_f64() {
                        return self.stop(&look).await;
                    }
                    if told.elapsed() >= TOLD && look.progress.is_some() {
                        (self.watch)(Event::Info(&line(&look)));
                        told = Instant::now();
                    }
                }
                None => session = None,
            }
            tokio::time::sleep(LOOKED).await;
        }
    }

    /// Returns why the run was stopped, if it was.
    pub fn reason(&self) -> Option<String> {
        self.stopped
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    async fn look(&self, session: &Session) -> Result<HeartbeatSample> {
        let running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let params = [
            (
                &self.pid as &(dyn tokio_postgres::types::ToSql + Sync),
                Type::INT4,
            ),
            (&running, Type::TEXT),
        ];
        let row = session
            .query_one(include_str!("queries/heartbeat.sql"), &params)
            .await?;
        let progress: Option<String> = row.get("progress");
        Ok(HeartbeatSample {
            progress: progress.map(|text| redact::beginning(&text)),
            waiting: row.get("waiting"),
            longest: row.get("longest"),
            who: row.get("who"),
        })
    }

    async fn stop(&self, look: &HeartbeatSample) {
        let who = look.who.as_deref().unwrap_or("another session");
        let others = match look.waiting {
            1 => "1 session".to_owned(),
            number => format!("{number} sessions"),
        };
        let why = format!(
            "{others} blocked by this run for up to {:.0} s ({who}), longer than the {} s allowed",
            look.longest,
            self.budget.as_secs()
        );
        (self.watch)(Event::Warning(&format!("stopping: {why}")));
        *self
            .stopped
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
        // A cancel that does not arrive leaves the run as it was; the next statement's timeout still holds.
        let _ = self.canceller.cancel().await;
        std::future::pending().await
    }
}

fn line(look: &HeartbeatSample) -> String {
    let mut line = look.progress.clone().unwrap_or_default();
    match look.waiting {
        0 => {}
        1 => line.push_str(&format!(
            "; 1 session has been blocked by this run for {:.0} s",
            look.longest
        )),
        number => line.push_str(&format!(
            "; {number} sessions are blocked by this run, the longest for {:.0} s",
            look.longest
        )),
    }
    line
}
