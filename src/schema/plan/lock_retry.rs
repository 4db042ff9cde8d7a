//! Runs a transaction until its locks are acquired: each attempt has a lock timeout and starts over.

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::error::Exit;
use crate::event::Event;
use crate::pg::backend::{self, Backend};
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::execution::Execution;
use crate::plan::record_preconditions;
use crate::plan::step_failure::{StepFailure, Stopped, interrupted};
use crate::plan::step_part::StepPart;
use crate::plan::transaction::{self, TransactionError, TransactionText};
use crate::sql::safe::Sql;

impl Execution<'_> {
    /// Tries a transaction again and again, each time from its beginning, until its locks can be had.
    ///
    /// Leaves it to be committed, and gives how often its locks could not be had.
    pub(super) async fn run_with_lock_retry(
        &mut self,
        part: &StepPart<'_>,
        mut opening: Vec<Sql>,
        slot: usize,
        closing: &(dyn Fn(usize) -> Vec<Sql> + Send + Sync),
    ) -> Result<usize, Stopped> {
        let began = Instant::now();
        self.refresh_snapshot().await?;
        let mut attempt = 0;
        loop {
            let wait = self.lock_schedule.wait(attempt);
            opening[slot] = transaction::limits(Some(wait), None).remove(0);
            self.count_rows_before().await?;
            let closing = closing(attempt);
            // The first attempt is not watched: on a slow or far server every one would cost a second connection.
            let patience =
                (attempt > 0 || self.lock_schedule.is_short()).then(|| wait.mul_f64(0.4));
            let (ran, blockers) = self.attempt(part, opening.clone(), closing, patience).await;
            let Err(fault) = ran else { break };
            if self.interrupt.is_raised() {
                self.session.roll_back().await;
                return Err(Stopped::RolledBack(interrupted()));
            }
            self.session.roll_back().await;
            if !(fault.error.is("55P03") || fault.error.is("40P01")) {
                let mut failure = part.failure(fault);
                record_preconditions::explain(&mut failure);
                return Err(Stopped::RolledBack(failure));
            }
            let pause = self.lock_schedule.pause(attempt, random());
            self.tell_blockers(&blockers, attempt);
            if began.elapsed() + pause > self.lock_schedule.budget {
                return Err(Stopped::RolledBack(
                    self.out_of_time(part.failure(fault), &blockers),
                ));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.interrupt.wait() => return Err(Stopped::RolledBack(interrupted())),
            }
            attempt += 1;
        }
        self.check_prediction(part).await?;
        Ok(attempt)
    }

    /// Runs a transaction up to its COMMIT; looks who blocks it when it is kept waiting for longer than the patience.
    async fn attempt(
        &mut self,
        part: &StepPart<'_>,
        opening: Vec<Sql>,
        closing: Vec<Sql>,
        patience: Option<Duration>,
    ) -> (Result<(), TransactionError>, Vec<Backend>) {
        let outline = part.outline;
        let first = part.statements.start;
        let inside = |(at, _): &&(usize, Range<usize>)| part.statements.contains(at);
        let copies: Vec<_> = outline
            .copies
            .iter()
            .filter(inside)
            .map(|(at, data)| (at - first, data.clone()))
            .collect();
        let block = TransactionText {
            opening,
            text: &part.step.text,
            statements: &outline.statements[part.statements.clone()],
            copies: &copies,
            closing,
        };
        let watch = self.watch;
        let total = outline.statements.len();
        let running = self.running();
        let end = part.statements.end;
        running.show(part.step, outline, first..end);
        let told = |done: usize| {
            running.show(part.step, outline, first + done..end);
            let note = format!("{}, statement {} of {total}", part.step.label, first + done);
            watch(Event::Advanced {
                done: u64::try_from(first + done).unwrap_or(0),
                note: &note,
            });
        };
        let (session, onlooker, target) = (&self.session, &mut self.onlooker, self.target);
        let blockers = Mutex::new(Vec::new());
        let work = transaction::run(session, &block, &told);
        tokio::pin!(work);
        // Short enough to see the blocker, long enough that a free lock is no reason to look.
        let look = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        let ran = tokio::select! {
            ran = &mut work => ran,
            () = look => {
                let looking = async {
                    let seen = who_blocks(session, onlooker, target).await;
                    *blockers.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = seen;
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    ran = &mut work => ran,
                    () = looking => unreachable!("looking never ends by itself"),
                    () = self.interrupt.wait() => {
                        cancel(session).await;
                        work.await
                    }
                }
            }
            () = self.interrupt.wait() => {
                cancel(session).await;
                work.await
            }
        };
        (
            ran,
            blockers
                .into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Waits for work; an interrupt cancels it on the server and the work then ends with the server's words.
    pub(super) async fn interruptible(
        &self,
        work: impl AsyncFnOnce(&Session) -> Result<()>,
    ) -> Result<()> {
        let work = work(&self.session);
        tokio::pin!(work);
        tokio::select! {
            ran = &mut work => ran,
            () = self.interrupt.wait() => {
                cancel(&self.session).await;
                work.await
            }
        }
    }

    fn tell_blockers(&self, blockers: &[Backend], attempt: usize) {
        // The first rungs are so short that waiting there is no news.
        if attempt < 3 {
            return;
        }
        match blockers.first() {
            Some(blocker) => (self.watch)(Event::Warning(&format!(
                "waiting for a lock held by {blocker}"
            ))),
            None => (self.watch)(Event::Warning("waiting for a lock")),
        }
    }

    fn out_of_time(&self, mut failure: StepFailure, blockers: &[Backend]) -> StepFailure {
        failure.exit = Exit::Busy;
        let mut hint = String::from("try again later");
        for blocker in blockers {
            let pid = blocker.pid;
            hint.push_str(&format!(
                "\n  held by {blocker}\n  to end it: SELECT pg_terminate_backend({pid})"
            ));
        }
        failure.hint = Some(hint);
        failure
    }
}

async fn who_blocks(
    session: &Session,
    onlooker: &mut Option<Session>,
    target: &Target,
) -> Vec<Backend> {
    if onlooker.is_none() {
        // Blockers are reported for convenience; a failure here does not stop the run.
        *onlooker = connect::open(target, &crate::event::silent).await.ok();
    }
    let Some(onlooker) = onlooker else {
        return Vec::new();
    };
    backend::blockers(onlooker, session.server_info().backend_pid)
        .await
        .unwrap_or_default()
}

async fn cancel(session: &Session) {
    // A cancel that does not arrive is followed by the end of the connection, which the server notices.
    let _ = session.canceller().cancel().await;
}

/// Returns a number from 0 to 1; good enough to keep two runners from trying in step.
fn random() -> f64 {
    let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(nanoseconds.map_or(0, |since| since.subsec_nanos()) % 1_000_000) / 1_000_000.0
}
