//! Runs steps with their records, with lock retry, under the migration lock.
//!
//! Only an [`Execution`] runs a [`Step`].

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;

use crate::error::fail;
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::pg::lock::LockedSession;
use crate::pg::session::Session;
use crate::pg::session_setup;
use crate::pg::target::Target;
use crate::plan::lock_schedule::LockSchedule;
use crate::plan::observe::guard::{Prediction, TargetSnapshot};
use crate::plan::observe::reach;
use crate::plan::reconcile::{self, StatementOutcome};
use crate::plan::record_preconditions;
use crate::plan::session_state::{self, RemainingStatements};
use crate::plan::step_failure::{
    PartialProgress, StepFailure, Stopped, failure_from, interrupted, overtaken, unknown_outcome,
    with_progress,
};
use crate::plan::step_part::StepPart;
use crate::plan::transaction;
use crate::plan::unit::{self, Outline, UnitKind};
use crate::plan::{CompletedStep, Mode, Step, StepRecorder, UnitMoment};
use crate::sql::safe::Sql;

/// A locked run.
pub struct Execution<'a> {
    pub(super) session: LockedSession,
    pub(super) target: &'a Target,
    pub(super) lock_schedule: LockSchedule,
    pub(super) watch: Watch<'a>,
    pub(super) interrupt: &'a Interrupt,
    // Opened only when a statement is kept waiting: it asks who blocks us.
    pub(super) onlooker: Option<Session>,
    // How many sessions took the place of a lost one.
    pub(super) sessions: usize,
    // Whether another process has worked here between the lost session and the one after it.
    pub(super) overtaken: bool,
    // What the steps were seen to do, where a plan says so; what they do instead is rolled back.
    pub(super) prediction: Option<Prediction>,
    // What was there before the first step, where a plan says what the steps do.
    pub(super) snapshot: Option<TargetSnapshot>,
    // Where names without a schema lead, where a schema stands for the database.
    path: Option<Sql>,
    // Whether the session is as it began: what a step has set is undone with its record.
    clean: bool,
    // What runs, for the heartbeat to show.
    running: Option<&'a Mutex<Option<String>>>,
}

/// Puts every setting back to what the session began with, anyone who changed it, and takes the time limit off.
pub(super) fn reset() -> Vec<Sql> {
    vec![
        Sql::new("RESET SESSION AUTHORIZATION"),
        Sql::new("RESET ALL"),
        Sql::new("SET statement_timeout = 0"),
        Sql::new("UNLISTEN *"),
        session_setup::reset_settings(),
    ]
}

/// Makes what comes next ours again within a transaction, and leaves the file's own settings to what follows it.
const OURS: [&str; 3] = [
    "SET LOCAL SESSION AUTHORIZATION DEFAULT",
    "SET LOCAL ROLE NONE",
    "SET LOCAL search_path TO pg_catalog",
];

/// Returns the time limit of a statement back to what the role is used to.
const THEIR_TIME: &str = "RESET statement_timeout";

/// Comes before everything else that is ours: the limit that a file or a role has may be too short for any question.
const UNLIMITED: &str = "SET LOCAL statement_timeout = 0";

/// Makes a transaction fit for a record: the file may have made the session read only, or serializable.
const RECORDING: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE";

impl<'a> Execution<'a> {
    /// Begins a run; every record confirms the lock that the session holds.
    pub fn new(
        session: LockedSession,
        target: &'a Target,
        lock_schedule: LockSchedule,
        watch: Watch<'a>,
        interrupt: &'a Interrupt,
    ) -> Self {
        Execution {
            session,
            target,
            lock_schedule,
            watch,
            interrupt,
            onlooker: None,
            sessions: 0,
            overtaken: false,
            prediction: None,
            snapshot: None,
            path: None,
            clean: false,
            running: None,
        }
    }

    /// Has names without a schema lead into these schemas, whatever the role is used to.
    pub fn within(mut self, path: Sql) -> Self {
        self.path = Some(path);
        self
    }

    /// Shows the running statement to a heartbeat.
    pub fn showing(mut self, running: &'a Mutex<Option<String>>) -> Self {
        self.running = Some(running);
        self
    }

    /// Returns where the running statement is shown.
    pub(super) fn running(&self) -> RunningStatement<'a> {
        RunningStatement(self.running)
    }

    /// Binds the run to what its steps were seen to do: a step that does more is rolled back before its commit.
    pub fn predict(&mut self, prediction: Prediction) {
        self.prediction = Some(prediction);
    }

    /// Returns the session for reading.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the receiver of events.
    pub fn watch(&self) -> Watch<'a> {
        self.watch
    }

    /// Ends the run and gives the session back.
    pub fn finish(self) -> LockedSession {
        self.session
    }

    /// Runs one step with its record.
    pub async fn run(
        &mut self,
        step: &Step,
        recorder: &dyn StepRecorder,
    ) -> Result<CompletedStep, Stopped> {
        if self.overtaken {
            return Err(Stopped::NotBegun(overtaken()));
        }
        self.snapshot_target().await?;
        let began = Instant::now();
        let outline = unit::outline(&step.text);
        let total = u64::try_from(outline.statements.len()).unwrap_or(u64::MAX);
        (self.watch)(Event::Began {
            task: &step.label,
            total: Some(total),
            unit: Unit::Items,
        });
        // A transaction that is rolled back takes the settings of its file with it; pieces leave theirs.
        self.clean &= step.mode == Mode::Transaction;
        let mut ran = match step.mode {
            Mode::Transaction => self.run_in_transaction(step, &outline, recorder).await,
            Mode::Statements => self.run_units(step, &outline, recorder).await,
        };
        if let Err(Stopped::RolledBack(_)) = ran
            && self.is_present(recorder).await
        {
            ran = Ok(CompletedStep {
                statements: outline.statements.len(),
                by_others: true,
                ..CompletedStep::default()
            });
        }
        (self.watch)(Event::Ended);
        for notice in self.session.take_notices() {
            (self.watch)(Event::Notice {
                severity: notice.severity,
                message: &notice.message,
            });
        }
        ran.map(|done| CompletedStep {
            took: began.elapsed(),
            ..done
        })
    }

    /// Whether the step failed because a process that does not take our lock applied it at the same time.
    async fn is_present(&self, recorder: &dyn StepRecorder) -> bool {
        let Some(question) = recorder.is_recorded() else {
            return false;
        };
        match self.session.query_sql(&question, &[]).await {
            Ok(rows) => rows.first().is_some_and(|row| row.get(0)),
            // Then the failure itself is what matters.
            Err(_) => false,
        }
    }

    /// Runs a text of ours in one transaction, without a step: bookkeeping alone.
    pub async fn record(&mut self, statements: Vec<Sql>) -> Result<()> {
        let mut sql = Sql::default();
        for part in self.own_transaction().into_iter().chain(statements) {
            sql.piece(&part).push(";\n");
        }
        if let Err(error) = self.session.run(&sql).await {
            self.session.roll_back().await;
            return Err(error);
        }
        self.session.run(&Sql::new("COMMIT")).await
    }

    /// Begins a transaction of ours behind whatever a file has done to the session, which is put back to its beginning.
    fn own_transaction(&self) -> Vec<Sql> {
        let mut between = [UNLIMITED, RECORDING].map(Sql::new).to_vec();
        between.extend(reset());
        between.push(session_setup::lift_time_limits(false));
        between.push(record_preconditions::is_idle(self.session.holds_lock()));
        between.push(Sql::new("BEGIN"));
        between
    }

    async fn run_in_transaction(
        &mut self,
        step: &Step,
        outline: &Outline,
        recorder: &dyn StepRecorder,
    ) -> Result<CompletedStep, Stopped> {
        let mut opening = if self.clean { Vec::new() } else { reset() };
        opening.extend(["RESET lock_timeout", "BEGIN"].map(Sql::new));
        let slot = opening.len();
        opening.extend([Sql::default(), Sql::new(NEVER_IDLE)]);
        let path = self.path.as_ref();
        opening.extend(path.map(|path| Sql::fill("SET LOCAL search_path TO {}", &[path])));
        let lock_history = recorder.lock_history();
        if !lock_history.is_empty() {
            opening.push(lock_history);
        }
        // What comes next is the file's, which the role's own limit is meant for.
        opening.push(Sql::new(THEIR_TIME));
        opening.extend(transaction::limits(None, step.timeout));
        let statements = outline.statements.len();
        let again = reset();
        let confirm =
            record_preconditions::is_ours(self.session.holds_lock(), recorder.history_is_locked());
        let closing = |waits: usize| {
            // Deferred checks run while the file's own settings still hold.
            let mut closing = vec![Sql::new("SET CONSTRAINTS ALL IMMEDIATE")];
            closing.extend(again.clone());
            closing.push(session_setup::lift_time_limits(false));
            closing.push(confirm.clone());
            closing.push(recorder.step_done(statements, waits));
            closing.retain(|part| !part.is_empty());
            closing
        };
        let all = StepPart {
            step,
            outline,
            statements: 0..statements,
            unit: 1,
        };
        let waits = self
            .run_with_lock_retry(&all, opening, slot, &closing)
            .await?;
        self.commit(recorder.is_recorded_by_this_run(None)).await?;
        self.clean = true;
        Ok(CompletedStep {
            statements,
            lock_waits: waits,
            ..CompletedStep::default()
        })
    }

    async fn run_units(
        &mut self,
        step: &Step,
        outline: &Outline,
        recorder: &dyn StepRecorder,
    ) -> Result<CompletedStep, Stopped> {
        let units = unit::units(outline, &step.text);
        let half = |units_done: usize| {
            let last = units[..units_done.min(units.len())].last();
            let half = PartialProgress {
                units: units_done,
                statements: last.map_or(0, |unit| unit.statements.end),
            };
            move |stopped: Stopped| with_progress(half, stopped)
        };
        let mut waits = 0;
        self.restore_settings(step, outline, &units, step.done, recorder)
            .await
            .map_err(half(step.done))?;
        for (index, unit) in units.iter().enumerate().skip(step.done) {
            if self.interrupt.is_raised() {
                return Err(half(index)(Stopped::RolledBack(interrupted())));
            }
            let sessions = self.sessions;
            match unit.kind {
                UnitKind::Atomic | UnitKind::OwnTransaction => {
                    waits += self
                        .run_unit(step, outline, unit, index, recorder)
                        .await
                        .map_err(half(index))?;
                }
                UnitKind::KeepsNothing => {
                    waits += self
                        .run_unit_without_effect(step, outline, unit, index, recorder)
                        .await
                        .map_err(half(index))?;
                }
                UnitKind::Alone => {
                    let uncertain = step.uncertain && index == step.done;
                    let unit = StepPart {
                        step,
                        outline,
                        statements: unit.statements.clone(),
                        unit: index + 1,
                    };
                    self.run_outside_transaction(&unit, index, uncertain, recorder)
                        .await
                        .map_err(half(index))?;
                    self.adopt_new_relations().await.map_err(half(index + 1))?;
                }
            }
            if self.sessions > sessions {
                // The settings of the file died with the session that was lost.
                self.restore_settings(step, outline, &units, index + 1, recorder)
                    .await
                    .map_err(half(index + 1))?;
            }
        }
        self.close(recorder, outline.statements.len(), waits)
            .await
            .map_err(half(units.len()))?;
        self.clean = true;
        Ok(CompletedStep {
            statements: outline.statements.len(),
            lock_waits: waits,
            ..CompletedStep::default()
        })
    }

    /// Records that every unit of a step is done.
    async fn close(
        &mut self,
        recorder: &dyn StepRecorder,
        statements: usize,
        waits: usize,
    ) -> Result<(), Stopped> {
        let mut record = self.own_transaction();
        record.extend([
            recorder.lock_history(),
            recorder.step_done(statements, waits),
        ]);
        self.run_own(record).await?;
        self.commit(recorder.is_recorded_by_this_run(None)).await
    }

    /// Makes the session what the file expects after units that are done: ours, with the file's settings so far.
    ///
    /// What the file has made of the session in another way, and the rest of it needs, is lost: that is refused.
    async fn restore_settings(
        &mut self,
        step: &Step,
        outline: &Outline,
        units: &[unit::ExecutionUnit],
        done: usize,
        recorder: &dyn StepRecorder,
    ) -> Result<(), Stopped> {
        let done = done.min(units.len());
        let mut ours = reset();
        let path = self.path.as_ref();
        ours.extend(path.map(|path| Sql::fill("SET search_path TO {}", &[path])));
        ours.push(Sql::new(THEIR_TIME));
        self.run_own(ours).await?;
        if done == 0 {
            return Ok(());
        }
        let before = self
            .noted(recorder, done, UnitMoment::Done)
            .await?
            .flatten();
        for unit in units[..done].iter().filter(|unit| !outline.is_undone(unit)) {
            let from = outline
                .settings
                .partition_point(|index| *index < unit.statements.start);
            for index in outline.settings[from..].iter().copied() {
                if index >= unit.statements.end {
                    break;
                }
                let sql = Sql::written_by_user(&step.text[outline.statements[index].clone()]);
                self.run_own(vec![sql]).await?;
            }
        }
        let Some(before) = before
            .as_deref()
            .and_then(session_state::SessionState::read)
        else {
            return Ok(());
        };
        let description = session_state::description(true, &outline.custom);
        let question = Sql::fill("SELECT {}", &[&description]);
        let now = self.one_text(&question).await?.flatten();
        let now = now.as_deref().and_then(session_state::SessionState::read);
        let first = units
            .get(done)
            .map_or(outline.statements.len(), |unit| unit.statements.start);
        let rest = RemainingStatements {
            text: &step.text,
            outline,
            statements: first..outline.statements.len(),
        };
        if let Some(lost) = before.missing_in(&now.unwrap_or_default(), &rest) {
            return Err(Stopped::RolledBack(session_lost(&lost)));
        }
        let unnamed = before.unnamed(&rest);
        if unnamed.is_empty() {
            return Ok(());
        }
        let users = reach::uses(&self.session, rest.all(), &unnamed).await;
        match users.map_err(|error| Stopped::RolledBack(failure_from(&error)))? {
            None => Ok(()),
            Some((name, function)) => Err(Stopped::RolledBack(session_lost(&format!(
                "the temporary table `{name}`, which {function} uses, no longer exists"
            )))),
        }
    }

    /// Reads the note of a record of ours; the outer absence is that of the record.
    async fn noted(
        &self,
        recorder: &dyn StepRecorder,
        unit: usize,
        moment: UnitMoment,
    ) -> Result<Option<Option<String>>, Stopped> {
        match recorder.unit_note(unit, moment) {
            Some(question) => self.one_text(&question).await,
            None => Ok(None),
        }
    }

    async fn one_text(&self, question: &Sql) -> Result<Option<Option<String>>, Stopped> {
        let rows = self.session.query_sql(question, &[]).await;
        let rows = rows.map_err(|error| Stopped::RolledBack(failure_from(&error)))?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Runs a unit and its record in one transaction.
    async fn run_unit(
        &mut self,
        step: &Step,
        outline: &Outline,
        unit: &unit::ExecutionUnit,
        index: usize,
        recorder: &dyn StepRecorder,
    ) -> Result<usize, Stopped> {
        let begin = match unit.kind {
            UnitKind::OwnTransaction => {
                Sql::written_by_user(&step.text[outline.statements[unit.statements.start].clone()])
            }
            _ => Sql::new("BEGIN"),
        };
        let statements = match unit.kind {
            UnitKind::OwnTransaction => unit.statements.start + 1..unit.statements.end - 1,
            _ => unit.statements.clone(),
        };
        let mut opening = vec![begin, Sql::default()];
        opening.extend(transaction::limits(None, step.timeout));
        opening.push(Sql::new(NEVER_IDLE));
        // Our own look would be the first query of the transaction, and its isolation be fixed by that.
        let isolated = outline.chooses_isolation(&step.text, statements.clone());
        let confirm = if isolated {
            record_preconditions::is_ours(self.session.holds_lock(), None)
        } else {
            opening.extend(
                Some(record_preconditions::hold(self.session.holds_lock()))
                    .filter(|hold| !hold.is_empty()),
            );
            record_preconditions::is_kept(self.session.holds_lock())
        };
        let closing = |_: usize| {
            let mut closing = vec![Sql::new("SET CONSTRAINTS ALL IMMEDIATE")];
            closing.extend([Sql::new(UNLIMITED), session_setup::lift_time_limits(true)]);
            closing.push(remember(recorder, step, outline, unit.statements.clone()));
            closing.extend(OURS.map(Sql::new));
            closing.push(confirm.clone());
            closing.push(recorder.unit_done(index + 1, &Sql::new(session_state::REMEMBERED)));
            closing.retain(|part| !part.is_empty());
            closing
        };
        let within = StepPart {
            step,
            outline,
            statements,
            unit: index + 1,
        };
        let waits = self
            .run_with_lock_retry(&within, opening, 1, &closing)
            .await?;
        self.commit(recorder.is_recorded_by_this_run(Some(index + 1)))
            .await?;
        Ok(waits)
    }

    /// Runs a transaction of the file that keeps nothing, and records it after its end.
    ///
    /// A run that is interrupted in between runs it again, which changes nothing.
    async fn run_unit_without_effect(
        &mut self,
        step: &Step,
        outline: &Outline,
        unit: &unit::ExecutionUnit,
        index: usize,
        recorder: &dyn StepRecorder,
    ) -> Result<usize, Stopped> {
        let (first, last) = (unit.statements.start, unit.statements.end - 1);
        let text = |at: usize| Sql::written_by_user(&step.text[outline.statements[at].clone()]);
        // Behind a setting that makes the session read only, every statement by itself keeps nothing.
        let (begin, end, statements) = match outline.begins(first) {
            true => (text(first), text(last), first + 1..last),
            false => (Sql::new("BEGIN"), Sql::new("COMMIT"), first..last + 1),
        };
        let mut opening = vec![begin, Sql::default()];
        opening.extend(transaction::limits(None, step.timeout));
        opening.push(Sql::new(NEVER_IDLE));
        let within = StepPart {
            step,
            outline,
            statements,
            unit: index + 1,
        };
        let waits = self
            .run_with_lock_retry(&within, opening, 1, &|_| Vec::new())
            .await?;
        self.run_own(vec![end]).await?;
        let done = StepPart {
            statements: unit.statements.clone(),
            ..within
        };
        self.run_own(self.framed_done(&done, index, recorder))
            .await?;
        Ok(waits)
    }

    /// Runs a statement that cannot run in a transaction: its intent first, then itself, then that it is done.
    async fn run_outside_transaction(
        &mut self,
        part: &StepPart<'_>,
        index: usize,
        uncertain: bool,
        recorder: &dyn StepRecorder,
    ) -> Result<(), Stopped> {
        let (step, outline, statement) = (part.step, part.outline, part.statements.start);
        let text = &step.text[outline.statements[statement].clone()];
        let failure = |error: anyhow::Error| Stopped::RolledBack(failure_from(&error));
        let begun = match reconcile::may_leave_indexes(text) {
            true => self.noted(recorder, index + 1, UnitMoment::Began).await?,
            false => None,
        };
        let earlier = reconcile::EarlierRun { begun, uncertain };
        let reconciled = reconcile::reconcile(&self.session, text, &earlier, self.watch)
            .await
            .map_err(failure)?;
        match reconciled.outcome {
            StatementOutcome::Done => {
                return self.run_own(self.framed_done(part, index, recorder)).await;
            }
            StatementOutcome::Unclear => {
                return Err(Stopped::Unknown(
                    PartialProgress::default(),
                    unknown_outcome(outline, statement),
                ));
            }
            StatementOutcome::ToDo => {}
        }
        let mut intent = if uncertain {
            Vec::new()
        } else {
            self.framed(
                Sql::default(),
                recorder.unit_began(index + 1, &reconciled.existing_indexes),
            )
        };
        let patient = !outline.sets_timeouts(&step.text);
        if patient {
            intent.extend(transaction::patience(step.timeout));
        }
        self.run_own(intent).await?;
        (self.watch)(Event::Advanced {
            done: u64::try_from(statement).unwrap_or(0),
            note: &step.label,
        });
        let sql = Sql::written_by_user(text);
        self.running().show(step, outline, statement..statement + 1);
        let ran = self
            .interruptible(async |session: &Session| session.run(&sql).await)
            .await;
        if let Err(error) = ran {
            return Err(self.failed_alone(part, &error));
        }
        let mut record = self.framed_done(part, index, recorder);
        if patient {
            record.extend(transaction::IMPATIENCE.map(Sql::new));
        }
        self.run_own(record)
            .await
            .map_err(|stopped| cut_off(part, stopped))
    }

    /// Returns what it means that a statement failed which runs outside a transaction.
    fn failed_alone(&self, part: &StepPart<'_>, error: &anyhow::Error) -> Stopped {
        let range = &part.outline.statements[part.statements.start];
        let text = &part.step.text[range.clone()];
        let mut failure = failure_from(error);
        let at = failure
            .error
            .position
            .and_then(|at| usize::try_from(at).ok())
            .map_or(0, |at| at - 1);
        let byte = text.char_indices().nth(at).map_or(0, |(byte, _)| byte);
        failure.offset = Some(range.start + byte);
        failure.statement = Some(part.statements.start + 1);
        if self.interrupt.is_raised() && !failure.error.closed {
            return Stopped::RolledBack(StepFailure {
                offset: failure.offset,
                statement: failure.statement,
                ..interrupted()
            });
        }
        // An error from within a body has a context; without one the call was refused before its body began.
        let began = failure.error.context.is_some();
        if began && !failure.error.closed && part.outline.may_commit(part.statements.start) {
            failure.hint = Some(
                "the statement may have committed partially before it failed: check the database, then record the outcome: \
                 af-db repair --resume VERSION --as done, or --as not-done"
                    .to_owned(),
            );
            return Stopped::Unknown(PartialProgress::default(), failure);
        }
        cut_off(part, Stopped::RolledBack(failure))
    }

    /// Runs statements of ours as one message.
    async fn run_own(&self, statements: Vec<Sql>) -> Result<(), Stopped> {
        let sql = Sql::join(statements.iter().filter(|part| !part.is_empty()), ";\n");
        let ran = self.session.run(&sql).await;
        if let Err(error) = ran {
            self.session.roll_back().await;
            let mut failure = failure_from(&error);
            record_preconditions::explain(&mut failure);
            return Err(Stopped::RolledBack(failure));
        }
        Ok(())
    }

    /// Records that a unit is done which has ended its transaction, or had none.
    fn framed_done(
        &self,
        part: &StepPart<'_>,
        index: usize,
        recorder: &dyn StepRecorder,
    ) -> Vec<Sql> {
        let statements = part.statements.clone();
        let remember = remember(recorder, part.step, part.outline, statements);
        let note = Sql::new(session_state::REMEMBERED);
        self.framed(remember, recorder.unit_done(index + 1, &note))
    }

    /// Puts a record of ours into a transaction of its own that leaves the file's settings as they are.
    ///
    /// It fails within a transaction that is open already: what a file has begun is never ours to commit.
    fn framed(&self, before: Sql, record: Sql) -> Vec<Sql> {
        let mut statements = vec![
            Sql::new(UNLIMITED),
            Sql::new(RECORDING),
            session_setup::lift_time_limits(true),
            record_preconditions::is_idle(self.session.holds_lock()),
            before,
            Sql::new("BEGIN"),
        ];
        statements.extend(OURS.map(Sql::new));
        statements.push(record);
        statements.push(Sql::new("COMMIT"));
        statements
    }
}

/// Stores the session state after a unit, if it is recorded.
fn remember(
    recorder: &dyn StepRecorder,
    step: &Step,
    outline: &Outline,
    statements: std::ops::Range<usize>,
) -> Sql {
    match recorder.unit_note(0, UnitMoment::Done) {
        Some(_) => session_state::remember(&step.text, outline, statements),
        None => Sql::default(),
    }
}

/// Between the messages of a transaction only we are waited for.
const NEVER_IDLE: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";

/// Where a run says which of its statements runs.
#[derive(Clone, Copy)]
pub(super) struct RunningStatement<'a>(Option<&'a Mutex<Option<String>>>);

impl RunningStatement<'_> {
    /// Shows the running statement. Of several statements sent together, only the server knows which one it is.
    pub(super) fn show(self, step: &Step, outline: &Outline, statements: std::ops::Range<usize>) {
        let Some(range) = outline.statements.get(statements.start) else {
            return;
        };
        let Some(running) = self.0 else { return };
        let line = step.text[range.clone()].lines().next().unwrap_or_default();
        let mut shown: String = line.chars().take(60).collect();
        if statements.len() > 1 {
            shown = format!(
                "{}, one of statements {} to {}",
                step.label,
                statements.start + 1,
                statements.end
            );
        }
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }
}

/// Reports that a file cannot be continued because of what the interruption took from its session.
fn session_lost(lost: &str) -> StepFailure {
    let words = format!("the migration cannot continue in a new session: {lost}");
    let hint = "run the remaining statements by hand, then: af-db repair --mark-applied VERSION; \
                or undo the first statements, then: af-db repair --resume VERSION --as undone";
    failure_from(&fail(words).hint(hint).into())
}

/// Reports that it is unknown how a statement ended which runs outside a transaction, if the connection is gone.
fn cut_off(part: &StepPart<'_>, stopped: Stopped) -> Stopped {
    let Stopped::RolledBack(mut failure) = stopped else {
        return stopped;
    };
    let statement = part.statements.start;
    if failure.is_unconfirmed {
        let hint = failure.hint.take().unwrap_or_default();
        failure.hint = Some(format!(
            "{hint}; statement {} has run and is not recorded: af-db repair --resume VERSION --as done",
            statement + 1
        ));
        return Stopped::Unknown(PartialProgress::default(), failure);
    }
    if !failure.error.closed {
        return Stopped::RolledBack(failure);
    }
    failure.offset = Some(part.outline.statements[statement].start);
    failure.statement = Some(statement + 1);
    failure.hint = Some(
        "run the command again: it checks the catalog whether this statement took effect, and continues after it"
            .to_owned(),
    );
    Stopped::Unknown(PartialProgress::default(), failure)
}
