//! Runs steps on a shadow database in their own transactions and observes each statement.
//!
//! Statements that need no further queries are sent without waiting: `pipelining` decides, `group` sends.

mod group;
mod pipelining;

use std::ops::Range;

use anyhow::{Context as _, Result};

use crate::event::{Event, Unit, Watch, silent};
use crate::pg::connect;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::execution::reset;
use crate::plan::observe::access_facts::{self, AccessFacts};
use crate::plan::observe::probe::Probe;
use crate::plan::observe::relation_names::RelationNames;
use crate::plan::observe::row_checks::{self, RowCheckTracker, ShapeReader};
use crate::plan::observe::run::pipelining::Pipelining;
use crate::plan::observe::transaction_state::StateReader;
use crate::plan::observe::{
    ObservationSource, StatementError, StatementObservation, StepObservation, known_effects,
    statement_target,
};
use crate::plan::unit::{self, Outline, UnitKind};
use crate::plan::{Mode, Step};
use crate::sql::class::Class;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::sql::{classify, phrase};

/// Runs steps on a shadow database, in order, and returns the effects of each statement; stops after the first that fails.
///
/// The shadow is a throw-away database of our own, as it is before the plan; it is as it is after the plan when this
/// returns, so that its catalog can be read. Nothing else may be connected to it.
pub async fn steps(
    shadow: &Target,
    steps: &[Step],
    watch: Watch<'_>,
) -> Result<Vec<StepObservation>> {
    let mut observer = Observer::open(shadow)
        .await
        .context("preparing the shadow database")?;
    let mut observations = Vec::new();
    watch(Event::Began {
        task: "running on the shadow database",
        total: u64::try_from(steps.len()).ok(),
        unit: Unit::Items,
    });
    for (done, step) in (0..).zip(steps) {
        watch(Event::Advanced {
            done,
            note: &step.label,
        });
        let observation = observer
            .step(step)
            .await
            .with_context(|| format!("observing {}", step.label))?;
        let stop = observation.failed().is_some();
        observations.push(observation);
        if stop {
            break;
        }
    }
    watch(Event::Ended);
    observer.close().await?;
    Ok(observations)
}

/// Runs steps on a shadow database, each for itself: every one begins with the shadow database as it is, and nothing of any stays.
///
/// Only for steps that run in one transaction.
pub async fn each(shadow: &Target, steps: &[Step]) -> Result<Vec<StepObservation>> {
    let mut observer = Observer::open(shadow)
        .await
        .context("preparing the shadow database")?;
    let mut observations = Vec::new();
    for step in steps {
        anyhow::ensure!(
            step.mode == Mode::Transaction,
            "{} does not run in one transaction, so it cannot be rolled back",
            step.label
        );
        let before = (observer.probe.inventory.clone(), observer.access.clone());
        observer.end = "ROLLBACK";
        let observation = observer.step(step).await;
        observations.push(observation.with_context(|| format!("observing {}", step.label))?);
        (observer.probe.inventory, observer.access) = before;
        observer.shapes = RowCheckTracker::default();
    }
    observer.close().await?;
    Ok(observations)
}

/// How a transaction ends whose work stays.
const COMMIT: &str = "COMMIT";

/// A shadow being watched.
struct Observer {
    session: Session,
    /// Sees the shadow database as it was before the current transaction.
    onlooker: Session,
    probe: Probe,
    names: RelationNames,
    /// How each of the two sessions reads what rows can be at odds with.
    readers: (ShapeReader, ShapeReader),
    shapes: RowCheckTracker,
    access: AccessFacts,
    /// How a transaction ends.
    end: &'static str,
    /// Whether the statements of the unit that runs, or ran last, only change definitions.
    only_defined: bool,
    /// Whether settings may be others than they were at the beginning of a step.
    is_unset: bool,
}

/// A statement about to run.
struct NextStatement<'a> {
    step: &'a Step,
    outline: &'a Outline,
    index: usize,
    class: Class,
    pace: Pipelining,
}

impl<'a> NextStatement<'a> {
    fn range(&self) -> Range<usize> {
        self.outline.statements[self.index].clone()
    }

    fn text(&self) -> &'a str {
        &self.step.text[self.range()]
    }

    fn data(&self) -> Option<&'a str> {
        let data = self
            .outline
            .copies
            .iter()
            .find(|(at, _)| *at == self.index)?;
        Some(&self.step.text[data.1.clone()])
    }

    fn observation(&self) -> StatementObservation {
        StatementObservation {
            number: self.index + 1,
            start: self.range().start,
            verb: classify::verb(self.text()),
            ..StatementObservation::default()
        }
    }
}

impl Observer {
    async fn open(shadow: &Target) -> Result<Observer> {
        let session = connect::open(shadow, &silent).await?;
        // Workers count what they read for themselves; a file's RESET must not bring them back.
        for setting in [
            "ALTER DATABASE {} SET max_parallel_maintenance_workers = 0",
            "ALTER DATABASE {} SET max_parallel_workers_per_gather = 0",
            "ALTER DATABASE {} SET track_counts = on",
        ] {
            let name = Ident::new(shadow.database());
            session.run(&Sql::fill(setting, &[&name])).await?;
        }
        session
            .run(&Sql::new(include_str!("../queries/prepare.sql")))
            .await?;
        session.close().await;
        let session = connect::open(shadow, &silent).await?;
        let onlooker = connect::open(shadow, &silent).await?;
        // It must never wait for what it looks at.
        onlooker
            .run(&Sql::new(
                "SET lock_timeout = 100; SET statement_timeout = '1min'; \
                 SET plan_cache_mode = force_generic_plan; SET search_path = ''",
            ))
            .await?;
        session.run(&access_facts::prepare()).await?;
        let readers = (
            ShapeReader::prepare(&session).await?,
            ShapeReader::prepare(&onlooker).await?,
        );
        let asker = StateReader::prepare(&session).await?;
        let probe = Probe::new(&session, asker).await?;
        let names = RelationNames::read(&onlooker, &probe.inventory).await?;
        let doors = AccessFacts::read(&session).await?;
        Ok(Observer {
            session,
            onlooker,
            probe,
            names,
            readers,
            shapes: RowCheckTracker::default(),
            access: doors,
            end: COMMIT,
            only_defined: false,
            is_unset: true,
        })
    }

    /// Leaves nothing after that a catalog would show.
    async fn close(self) -> Result<()> {
        let mut clear = Sql::join(reset(), ";\n");
        clear.push(";\n");
        clear.piece(&Sql::new(include_str!("../queries/clear.sql")));
        self.session.run(&clear).await?;
        self.onlooker.close().await;
        self.session.close().await;
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<StepObservation> {
        let confinement = self.session.confinement();
        confinement.check(&step.label, &step.text)?;
        let outline = unit::outline(&step.text);
        let mut observation = StepObservation {
            label: step.label.clone(),
            in_transaction: step.mode == Mode::Transaction,
            statements: Vec::new(),
            left: Vec::new(),
        };
        let units = match step.mode {
            Mode::Transaction => vec![unit::ExecutionUnit {
                kind: UnitKind::Atomic,
                statements: 0..outline.statements.len(),
            }],
            Mode::Statements => unit::units(&outline, &step.text),
        };
        let texts = outline.statements.iter();
        let defines: Vec<bool> = texts
            .map(|range| pipelining::only_defines(classify::class(&step.text[range.clone()])))
            .collect();
        let mut before = self.is_unset.then(|| Sql::join(reset(), ";\n"));
        self.is_unset = defines.contains(&false);
        for (number, unit) in (1..).zip(&units).skip(step.done) {
            self.only_defined = !defines[unit.statements.clone()].contains(&false);
            let kept = match unit.kind {
                UnitKind::KeepsNothing => Some((self.probe.inventory.clone(), self.access.clone())),
                _ => None,
            };
            self.end = kept.as_ref().map_or(self.end, |_| "ROLLBACK");
            let reset = before.take();
            self.run_unit(step, &outline, unit, reset, &mut observation.statements)
                .await?;
            if let Some(kept) = kept {
                (self.probe.inventory, self.access) = kept;
                (self.shapes, self.end) = (RowCheckTracker::default(), COMMIT);
            }
            if observation.failed().is_some() {
                break;
            }
            let alone = (unit.kind == UnitKind::Alone).then_some(unit.statements.start);
            let class = alone.map(|at| classify::class(&step.text[outline.statements[at].clone()]));
            let left = self.names.left(&self.onlooker, number, class).await?;
            observation.left.extend(left);
        }
        Ok(observation)
    }

    async fn run_unit(
        &mut self,
        step: &Step,
        outline: &Outline,
        unit: &unit::ExecutionUnit,
        reset: Option<Sql>,
        into: &mut Vec<StatementObservation>,
    ) -> Result<()> {
        let next = |index: usize| {
            let text = &step.text[outline.statements[index].clone()];
            let class = classify::class(text);
            NextStatement {
                step,
                outline,
                index,
                class,
                pace: pipelining::pace(class, text),
            }
        };
        if unit.kind == UnitKind::Alone {
            if let Some(reset) = reset {
                self.session.run(&reset).await?;
            }
            let observation = self.alone(&next(unit.statements.start)).await?;
            into.push(observation);
            return Ok(());
        }
        let (begin, statements) = match unit.kind {
            UnitKind::OwnTransaction | UnitKind::KeepsNothing => (
                Sql::written_by_user(next(unit.statements.start).text()),
                unit.statements.start + 1..unit.statements.end - 1,
            ),
            _ => (Sql::new("BEGIN"), unit.statements.clone()),
        };
        self.shapes.begin();
        let mut opening = Some((reset, begin));
        let mut rest = statements;
        loop {
            let group = pipelining::together(rest.clone(), next);
            rest.start += group.len();
            let is_last = rest.is_empty();
            if self.group(&group, opening.take(), is_last, into).await? || is_last {
                return Ok(());
            }
        }
    }

    /// Prepares our queries again, which a file may have deallocated.
    async fn prepare_again(&mut self) -> Result<()> {
        self.session.run(&Sql::new("DEALLOCATE ALL")).await?;
        self.session.run(&access_facts::prepare()).await?;
        self.readers.0 = ShapeReader::prepare(&self.session).await?;
        self.probe.asker = StateReader::prepare(&self.session).await?;
        Ok(())
    }

    /// Runs what no transaction can hold, where it stays within the shadow database.
    async fn alone(&mut self, next: &NextStatement<'_>) -> Result<StatementObservation> {
        let mut observation = next.observation();
        let tokens = phrase::read(next.text());
        let words = phrase::Phrase::new(next.text(), &tokens);
        if let Some(reason) = known_effects::never_on_a_shadow(next.class) {
            observation.spoke = ObservationSource::Nobody(reason.to_owned());
            return Ok(observation);
        }
        known_effects::of(
            &self.session,
            &self.probe.inventory,
            next.class,
            words,
            &mut observation,
        )
        .await?;
        // Of what runs outside of a transaction only a unique index asks anything of rows.
        let parts = row_checks::may_ask(next.class, next.text());
        let indexed = statement_target::shaped(next.class, next.text())
            .filter(|_| parts.is_some())
            .map(|name| self.probe.inventory.called(&name))
            .unwrap_or_default();
        let ids: Vec<u32> = indexed.keys().copied().collect();
        let parts = parts.unwrap_or_default();
        let reader = &self.readers.1;
        let before = reader.read(&self.onlooker, &ids, parts, false).await?;
        let sql = Sql::written_by_user(next.text());
        let (ran, sampled) = known_effects::sampled(&self.session, &self.onlooker, &sql).await?;
        observation.failed = refused(ran, next.range().start, next.text())?;
        if observation.failed.is_none() && !ids.is_empty() {
            let after = reader.read(&self.onlooker, &ids, parts, true).await?;
            let text = next.text();
            observation.questions = self.shapes.raised(&indexed, &before, &after, text);
        }
        if observation.failed.is_none() {
            self.probe
                .look_aside(&self.session, &sampled, next.class, &mut observation)
                .await?;
        }
        Ok(observation)
    }
}

/// Keeps the server's refusal; anything else that went wrong is a failure of ours.
fn refused(ran: Result<()>, start: usize, text: &str) -> Result<Option<StatementError>> {
    let Err(error) = ran else { return Ok(None) };
    let Some(server) = error.downcast_ref::<ServerError>() else {
        return Err(error);
    };
    if server.closed {
        return Err(error);
    }
    let offset = server
        .position
        .and_then(|at| usize::try_from(at).ok())
        .map(|at| start + crate::sql::position::byte_of_character(text, at));
    Ok(Some(StatementError {
        sqlstate: server.sqlstate.clone().unwrap_or_default(),
        message: server.message.clone(),
        offset: offset.or((!text.is_empty()).then_some(start)),
    }))
}
