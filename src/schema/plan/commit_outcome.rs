//! Owns what happens when the answer to a COMMIT is lost: whether it arrived is asked on a new connection, never guessed.
//!
//! The new session takes the migration lock first. It can be had only when the old server process is gone, and then
//! the old transaction is decided.

use std::time::Duration;

use anyhow::Result;

use crate::event::Event;
use crate::pg::{connect, pooler};
use crate::plan::execution::Execution;
use crate::plan::step_failure::{PartialProgress, StepFailure, Stopped, failure_from};
use crate::sql::safe::Sql;

/// How long the old server process may take to notice that nobody is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the books say on the new connection.
struct RecordedCommit {
    recorded: bool,
    newest: bool,
}

impl Execution<'_> {
    /// Commits; a lost answer is looked up.
    pub(super) async fn commit(&mut self, question: Option<Sql>) -> Result<(), Stopped> {
        match self.session.run(&Sql::new("COMMIT")).await {
            Ok(()) => Ok(()),
            Err(error) => self.settle(failure_from(&error), question).await,
        }
    }

    /// Decides what became of a transaction whose COMMIT failed, or whose answer did not come.
    pub(super) async fn settle(
        &mut self,
        mut trouble: StepFailure,
        question: Option<Sql>,
    ) -> Result<(), Stopped> {
        if !(trouble.error.closed || self.session.is_closed()) {
            self.session.roll_back().await;
            return Err(Stopped::RolledBack(trouble));
        }
        trouble.error.closed = true;
        let Some(question) = question else {
            return Err(Stopped::Unknown(PartialProgress::default(), trouble));
        };
        (self.watch)(Event::Warning(
            "the connection was lost during the COMMIT; asking on a new one whether it arrived",
        ));
        match self.look_up(&question).await {
            Ok(RecordedCommit {
                recorded: true,
                newest,
            }) => {
                (self.watch)(Event::Info("the COMMIT had arrived"));
                self.overtaken = !newest;
                Ok(())
            }
            Ok(_) => {
                trouble.hint = Some("run it again: the COMMIT had not arrived".to_owned());
                Err(Stopped::RolledBack(trouble))
            }
            Err(error) => {
                trouble.hint = Some(format!(
                    "run it again: it looks first whether the COMMIT arrived, which could not be asked now ({error:#})"
                ));
                Err(Stopped::Unknown(PartialProgress::default(), trouble))
            }
        }
    }

    async fn look_up(&mut self, question: &Sql) -> Result<RecordedCommit> {
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
