//! Sends statements of a transaction together, each followed by its queries, and reads their answers.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::future::{join, join3, join4};
use tokio_postgres::Row;

use crate::plan::observe::access_facts::ReadFacts;
use crate::plan::observe::access_scope::{self, AccessScope, NoticedChanges};
use crate::plan::observe::event_log::{self, LogEntry, StatementLog};
use crate::plan::observe::probe::ProbeSigns;
use crate::plan::observe::run::pipelining::{self, Pipelining};
use crate::plan::observe::run::{COMMIT, NextStatement, Observer, refused};
use crate::plan::observe::transaction_state::{self, Counters};
use crate::plan::observe::{ObservationSource, StatementObservation, known_effects, row_checks};
use crate::sql::class::{Class, Object};
use crate::sql::safe::Sql;

/// What begins a transaction: what is said before it, and its `BEGIN`.
pub(super) type Opening = (Option<Sql>, Sql);

/// What came back for one statement.
struct StatementAnswers {
    ran: Result<()>,
    look: Result<Vec<Row>>,
    log: Option<Result<Vec<Row>>>,
    rights: Option<AccessAnswer>,
}

/// The facts of a scope, and what is locked after they were read: printing a policy locks the tables it speaks of.
struct AccessAnswer {
    scope: AccessScope,
    answer: Result<ReadFacts>,
    look: Result<Vec<Row>>,
}

/// What came back around the statements: for the beginning of the transaction, for the newest relation, for the end.
type Around = (
    Option<Result<HashMap<u32, Counters>>>,
    Option<Result<u32>>,
    Option<(Result<()>, Result<()>)>,
);

impl Observer {
    /// Runs statements and records their effects; returns whether one of them failed, which ends the transaction.
    ///
    /// The transaction begins before them if it has not yet, and ends after them if they are its last.
    pub(super) async fn group(
        &mut self,
        group: &[NextStatement<'_>],
        opening: Option<Opening>,
        is_last: bool,
        into: &mut Vec<StatementObservation>,
    ) -> Result<bool> {
        if let [next] = group
            && next.pace == Pipelining::Apart
        {
            let ((begun, _, _), _) = self.send(opening, &[], false).await;
            if let Some(counters) = begun {
                self.probe.begin(counters?);
            }
            return match self.apart(next, into).await? {
                true => Ok(true),
                false => self.close_if(is_last, into).await,
            };
        }
        // What is undone is gone from the log as well, which is read where a look says that something is in it.
        let waits = group
            .last()
            .is_some_and(|last| last.pace != Pipelining::Ahead);
        let closes = is_last && !waits && self.end == COMMIT;
        let ((begun, newest, ended), answers) = self.send(opening, group, closes).await;
        if let Some(counters) = begun {
            self.probe.begin(counters?);
        }
        if self.settle(group, answers, into).await? {
            if ended.is_none() {
                self.session.run(&Sql::new("ROLLBACK")).await?;
            }
            return Ok(true);
        }
        if let Some(newest) = newest {
            self.probe.newest = newest?;
        }
        match ended {
            Some((deferred, ended)) => closed(deferred, ended, into),
            None => self.close_if(is_last, into).await,
        }
    }

    /// Sends all of it before the first answer is awaited.
    ///
    /// The counters are asked for within the transaction, because between two of them the session may tell the server, and
    /// begin from nothing.
    async fn send(
        &self,
        opening: Option<Opening>,
        group: &[NextStatement<'_>],
        closes: bool,
    ) -> (Around, Vec<StatementAnswers>) {
        let session = &self.session;
        let begun = opening.is_none();
        let open = async {
            let (reset, begin) = opening?;
            let reset = async {
                match reset {
                    Some(reset) => session.run(&reset).await,
                    None => Ok(()),
                }
            };
            let counters = self.probe.ask_counters(session);
            let (reset, begin, counters) = join3(reset, session.run(&begin), counters).await;
            Some(reset.and(begin).and(counters))
        };
        let close = async {
            match closes {
                true => Some(self.end().await),
                false => None,
            }
        };
        let statements = pipelining::in_order(group.iter().map(|next| self.ask(next, begun)));
        let newest = async {
            match group
                .iter()
                .any(|next| pipelining::makes_relations(next.class))
            {
                true => Some(self.probe.asker.newest(session).await),
                false => None,
            }
        };
        let (open, statements, newest, close) = join4(open, statements, newest, close).await;
        ((open, newest, close), statements)
    }

    /// Sends one statement and the queries after it, as far as its text determines them.
    async fn ask(&self, next: &NextStatement<'_>, begun: bool) -> StatementAnswers {
        let session = &self.session;
        let sql = Sql::written_by_user(next.text());
        let waits = next.pace == Pipelining::Last;
        let scope = match waits {
            true => access_scope::scope(next.class, next.text(), NoticedChanges::default()),
            false => AccessScope::nothing(),
        };
        let log = async {
            match waits {
                true => Some(self.probe.asker.logged(session).await),
                false => None,
            }
        };
        let rights = async {
            if scope.is_silent() {
                return None;
            }
            Some(self.ask_rights(next, begun, &scope).await)
        };
        let look = self.probe.ask(session, next.class, begun);
        let (ran, look, log, rights) = join4(session.run(&sql), look, log, rights).await;
        let rights = rights.map(|(answer, look)| AccessAnswer {
            scope,
            answer,
            look,
        });
        StatementAnswers {
            ran,
            look,
            log,
            rights,
        }
    }

    async fn ask_rights(
        &self,
        next: &NextStatement<'_>,
        begun: bool,
        scope: &AccessScope,
    ) -> (Result<ReadFacts>, Result<Vec<Row>>) {
        join(
            ReadFacts::ask(&self.session, scope),
            self.probe.ask(&self.session, next.class, begun),
        )
        .await
    }

    /// Works out what statements have done from their answers; returns whether one has failed.
    async fn settle(
        &mut self,
        group: &[NextStatement<'_>],
        answers: Vec<StatementAnswers>,
        into: &mut Vec<StatementObservation>,
    ) -> Result<bool> {
        let mut ran = Vec::with_capacity(answers.len());
        let mut failed = None;
        for (next, answers) in group.iter().zip(answers) {
            let mut observation = next.observation();
            observation.failed = refused(answers.ran, next.range().start, next.text())?;
            if observation.failed.is_some() {
                failed = Some(observation);
                break;
            }
            let look = transaction_state::parse(&answers.look?)?;
            ran.push((next, observation, look, answers.log, answers.rights));
        }
        // Who fails takes the log along.
        let rows = match ran.last_mut() {
            Some((_, _, look, log, _)) if look.logged != self.probe.logged && failed.is_none() => {
                match log.take() {
                    Some(rows) => rows?,
                    None => self.probe.asker.logged(&self.session).await?,
                }
            }
            _ => Vec::new(),
        };
        let mut lines = event_log::lines(&rows)?;
        let count = ran.len();
        for (at, (next, mut observation, look, _, rights)) in ran.into_iter().enumerate() {
            let until = match at + 1 == count {
                true => lines.len(),
                false => lines.partition_point(|line| line.at <= look.at),
            };
            let lines: Vec<LogEntry> = lines.drain(..until).collect();
            let log = match lines.is_empty() {
                true => StatementLog {
                    is_lost: failed.is_some() && look.logged != self.probe.logged,
                    ..StatementLog::default()
                },
                false => {
                    let inventory = &self.probe.inventory;
                    event_log::read(&self.session, &self.onlooker, lines, inventory).await?
                }
            };
            let signs = self
                .probe
                .look(
                    &self.session,
                    look,
                    log,
                    next.class,
                    next.text(),
                    &mut observation,
                )
                .await?;
            observation.depends_on_rows = known_effects::depends_on_rows(next.class, &observation);
            // After a failure nothing can be asked any more.
            let is_silent = next.pace == Pipelining::Ahead && signs.rights.is_empty();
            if failed.is_none() && !is_silent {
                self.further(next, signs, rights, &mut observation).await?;
            }
            into.push(observation);
        }
        let is_over = failed.is_some();
        into.extend(failed);
        Ok(is_over)
    }

    /// Asks what the look after every statement is too quick for, where there is a sign of it.
    async fn further(
        &mut self,
        next: &NextStatement<'_>,
        signs: ProbeSigns,
        rights: Option<AccessAnswer>,
        observation: &mut StatementObservation,
    ) -> Result<()> {
        let scope = access_scope::scope(next.class, next.text(), signs.rights);
        if !scope.is_empty() {
            let (answer, locked) = match rights {
                Some(rights) if scope.is_read_by(&rights.scope) => (rights.answer, rights.look),
                _ => self.ask_rights(next, true, &scope).await,
            };
            let last_before = self.probe.last_before;
            let changes = self.access.changes(answer?, &scope, last_before);
            observation.security.extend(changes);
            self.probe.pass_over(&locked?)?;
            observation.security.sort();
        }
        if let Some(parts) = row_checks::may_ask(next.class, next.text()) {
            let sessions = (&self.session, &self.onlooker);
            let readers = (&self.readers.0, &self.readers.1);
            let tables = self.probe.inventory.names(&signs.shaped);
            let (questions, partners) = self
                .shapes
                .questions(sessions, readers, &tables, (parts, next.text()))
                .await?;
            observation.questions = questions;
            known_effects::reads_partners(&self.probe.inventory, &partners, observation);
        }
        Ok(())
    }

    /// Runs a statement with nothing else on its way; returns whether it failed.
    async fn apart(
        &mut self,
        next: &NextStatement<'_>,
        into: &mut Vec<StatementObservation>,
    ) -> Result<bool> {
        // The one names the database by its own name, which the shadow database has not; the other what only the target has loaded.
        if let Class::Alter(Object::Database) | Class::SecurityLabel = next.class {
            let mut observation = next.observation();
            let reason = known_effects::never_on_a_shadow(next.class).unwrap_or_default();
            observation.spoke = ObservationSource::Nobody(reason.to_owned());
            into.push(observation);
            return Ok(false);
        }
        let sql = Sql::written_by_user(next.text());
        let ran = match next.data() {
            Some(data) => self.session.copy_text(&sql, data).await,
            None => self.session.run(&sql).await,
        };
        if ran.is_ok() && next.data().is_none() {
            self.prepare_again().await?;
        }
        let look = self.probe.ask(&self.session, next.class, true).await;
        let answers = StatementAnswers {
            ran,
            look,
            log: None,
            rights: None,
        };
        let failed = self
            .settle(std::slice::from_ref(next), vec![answers], into)
            .await?;
        if failed {
            self.session.run(&Sql::new("ROLLBACK")).await?;
        }
        Ok(failed)
    }

    /// Ends the transaction if nothing follows; returns whether that failed.
    async fn close_if(&self, is_last: bool, into: &mut [StatementObservation]) -> Result<bool> {
        match is_last {
            true => {
                let (deferred, ended) = self.end().await;
                closed(deferred, ended, into)
            }
            false => Ok(false),
        }
    }

    /// Ends the transaction; what was put off to its end comes before, and if it is refused, COMMIT takes all back.
    async fn end(&self) -> (Result<()>, Result<()>) {
        let deferred = async {
            match self.only_defined {
                true => Ok(()),
                false => {
                    let deferred = Sql::new("SET CONSTRAINTS ALL IMMEDIATE");
                    self.session.run(&deferred).await
                }
            }
        };
        let end = Sql::new(self.end);
        join(deferred, self.session.run(&end)).await
    }
}

/// Whether the end of a transaction was refused, and has its last statement say so.
fn closed(
    deferred: Result<()>,
    ended: Result<()>,
    into: &mut [StatementObservation],
) -> Result<bool> {
    let mut failed = false;
    if let Some(last) = into.last_mut() {
        last.failed = refused(deferred, 0, "")?;
        failed = last.failed.is_some();
    }
    ended.map(|()| failed)
}
