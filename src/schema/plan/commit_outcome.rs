//! Finds out on a new connection whether a COMMIT succeeded whose answer was lost.
//!
//! The new session acquires the migration lock first, which succeeds only after the old server process has ended;
//! then the outcome of the old transaction is final.

use std::time::Duration;

use anyhow::Result;

use crate::event::Event;
use crate::pg::{connect, pooler};
use crate::plan::execution::Execution;
use crate::plan::step_failure::{PartialProgress, StepFailure, Stopped, failure_from};
use crate::sql::safe::Sql;

/// How long the old server process may take to notice that the client is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the record say on the new connection.
struct RecordedCommit {
    recorded: bool,
    newest: bool,
}

impl Execution<'_> {
    /// Commits; a lost answer is looked up.
    pub(super) async fn commit(&mut self, question: Option<Sql>) -> Result<(), Stopped> {
        match self.session.run(&Sql::new("COMMIT")).await {
            Ok(()) => Ok(()),
            Err(error) => self.resolve_commit(failure_from(&error), question).await,
        }
    }

    /// Decides what became of a transaction whose COMMIT failed, or whose answer did not come.
    pub(super) async fn resolve_commit(
        &mut self,
        mut failure: StepFailure,
        question: Option<Sql>,
    ) -> Result<(), Stopped> {
        if !(failure.error.closed || self.session.is_closed()) {
            self.session.roll_back().await;
            return Err(Stopped::RolledBack(failure));
        }
        failure.error.closed = true;
        let Some(question) = question else {
            return Err(Stopped::Unknown(PartialProgress::default(), failure));
        };
        (self.watch)(Event::Warning(
            "the connection was lost during COMMIT; checking on a new connection whether it succeeded",
        ));
        match self.ask_on_new_connection(&question).await {
            Ok(RecordedCommit {
                recorded: true,
                newest,
            }) => {
                (self.watch)(Event::Info("the COMMIT succeeded"));
                self.overtaken = !newest;
                Ok(())
            }
            Ok(_) => {
                failure.hint = Some("run the command again: the COMMIT did not succeed".to_owned());
                Err(Stopped::RolledBack(failure))
            }
            Err(error) => {
                failure.hint = Some(format!(
                    "run the command again: it checks first whether the COMMIT succeeded, which is unknown now ({error:#})"
                ));
                Err(Stopped::Unknown(PartialProgress::default(), failure))
            }
        }
    }

    async fn ask_on_new_connection(&mut self, question: &Sql) -> Result<RecordedCommit> {
        let session = connect::open(self.target, self.watch).await?;
        pooler::require_session(&session, self.target).await?;
        let session = self
            .session
            .successor(session, PATIENCE, self.watch)
            .await?;
        let rows = session.query_sql(question, &[]).await?;
        anyhow::ensure!(rows.len() == 1, "the history query returned no row");
        self.session = session;
        self.sessions += 1;
        Ok(RecordedCommit {
            recorded: rows[0].get(0),
            newest: rows[0].get(1),
        })
    }
}
