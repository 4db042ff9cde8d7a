//! Owns the execution: the one loop that runs steps, under the lock, on the ladder, with each step's record.
//!
//! Having an [`Execution`] is to hold the lock; nothing else runs a [`Step`].

use std::time::Instant;

use anyhow::Result;

use crate::event::{Event, Interrupt, Unit, Watch};
use crate::pg::facts;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::block;
use crate::plan::climb::Piece;
use crate::plan::ladder::Ladder;
use crate::plan::observe::StepObservation;
use crate::plan::reconcile::{self, Known};
use crate::plan::trouble::{
    Half, Stopped, Trouble, after, interrupted, overtaken, trouble_of, unclear,
};
use crate::plan::unit::{self, Kind, Outline};
use crate::plan::{Books, Done, Mode, Step};
use crate::sql::safe::Sql;

/// A locked run.
pub struct Execution<'a> {
    pub(super) session: Session,
    pub(super) target: &'a Target,
    pub(super) ladder: Ladder,
    pub(super) watch: Watch<'a>,
    pub(super) interrupt: &'a Interrupt,
    // Opened only when a statement is kept waiting: it asks who blocks us.
    pub(super) onlooker: Option<Session>,
    // How many sessions took the place of a lost one.
    pub(super) sessions: usize,
    // Whether somebody else has worked here between the lost session and the one after it.
    pub(super) overtaken: bool,
    // What the steps were seen to do, where a plan says so; what they do instead is rolled back.
    pub(super) predicted: Vec<StepObservation>,
    // Where names without a schema lead, where a schema stands for the database.
    path: Option<Sql>,
    // Whether the session is as it began: what a step has set is undone with its record.
    clean: bool,
}

/// Puts every setting back to what the session began with, whoever changed it.
pub(super) fn reset() -> Vec<Sql> {
    vec![
        Sql::new("RESET SESSION AUTHORIZATION"),
        Sql::new("RESET ALL"),
        facts::pins(),
    ]
}

/// Makes what comes next ours again within a transaction, and leaves the file's own settings to what follows it.
const OURS: [&str; 3] = [
    "SET LOCAL SESSION AUTHORIZATION DEFAULT",
    "SET LOCAL ROLE NONE",
    "SET LOCAL search_path TO pg_catalog",
];

impl<'a> Execution<'a> {
    /// Takes over a session that holds the lock.
    pub fn new(
        session: Session,
        target: &'a Target,
        ladder: Ladder,
        watch: Watch<'a>,
        interrupt: &'a Interrupt,
    ) -> Self {
        Execution {
            session,
            target,
            ladder,
            watch,
            interrupt,
            onlooker: None,
            sessions: 0,
            overtaken: false,
            predicted: Vec::new(),
            path: None,
            clean: false,
        }
    }

    /// Has names without a schema lead into these schemas, whatever the role is used to.
    pub fn within(mut self, path: Sql) -> Self {
        self.path = Some(path);
        self
    }

    /// Binds the run to what its steps were seen to do: a step that does more is rolled back before its commit.
    pub fn predict(&mut self, observations: Vec<StepObservation>) {
        self.predicted = observations;
    }

    /// Gives the session for reading.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Gives who is told.
    pub fn watch(&self) -> Watch<'a> {
        self.watch
    }

    /// Ends the run and gives the session back.
    pub fn finish(self) -> Session {
        self.session
    }

    /// Runs one step with its record.
    pub async fn run(&mut self, step: &Step, books: &dyn Books) -> Result<Done, Stopped> {
        if self.overtaken {
            return Err(Stopped::NotBegun(overtaken()));
        }
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
            Mode::Transaction => self.whole(step, &outline, books).await,
            Mode::Statements => self.pieces(step, &outline, books).await,
        };
        if let Err(Stopped::RolledBack(_)) = ran
            && self.is_present(books).await
        {
            ran = Ok(Done {
                statements: outline.statements.len(),
                by_others: true,
                ..Done::default()
            });
        }
        (self.watch)(Event::Ended);
        for notice in self.session.take_notices() {
            (self.watch)(Event::Notice {
                severity: notice.severity,
                message: &notice.message,
            });
        }
        ran.map(|done| Done {
            took: began.elapsed(),
            ..done
        })
    }

    /// Says whether somebody who knows nothing of our lock has done a step while we tried, and we failed for that.
    async fn is_present(&self, books: &dyn Books) -> bool {
        let Some(question) = books.present() else {
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
        for part in reset()
            .into_iter()
            .chain([Sql::new("BEGIN")])
            .chain(statements)
        {
            sql.piece(&part).push(";\n");
        }
        if let Err(error) = self.session.run(&sql).await {
            self.session.roll_back().await;
            return Err(error);
        }
        self.session.run(&Sql::new("COMMIT")).await
    }

    async fn whole(
        &mut self,
        step: &Step,
        outline: &Outline,
        books: &dyn Books,
    ) -> Result<Done, Stopped> {
        let mut opening = if self.clean { Vec::new() } else { reset() };
        opening.extend([Sql::new("BEGIN"), Sql::default()]);
        let slot = opening.len() - 1;
        opening.extend(block::limits(None, step.timeout));
        let path = self.path.as_ref();
        opening.extend(path.map(|path| Sql::fill("SET LOCAL search_path TO {}", &[path])));
        let opening_of_books = books.opening();
        if !opening_of_books.is_empty() {
            opening.push(opening_of_books);
        }
        let statements = outline.statements.len();
        let again = reset();
        let closing = |waits: usize| {
            // Deferred checks run while the file's own settings still hold.
            let mut closing = vec![Sql::new("SET CONSTRAINTS ALL IMMEDIATE")];
            closing.extend(again.clone());
            closing.push(books.closing(statements, waits));
            closing
        };
        let all = Piece {
            step,
            outline,
            statements: 0..statements,
        };
        let waits = self.climb(&all, opening, slot, &closing).await?;
        self.commit(books.landed(None)).await?;
        self.clean = true;
        Ok(Done {
            statements,
            lock_waits: waits,
            ..Done::default()
        })
    }

    async fn pieces(
        &mut self,
        step: &Step,
        outline: &Outline,
        books: &dyn Books,
    ) -> Result<Done, Stopped> {
        let units = unit::units(outline);
        let half = |units_done: usize| {
            let last = units[..units_done.min(units.len())].last();
            let half = Half {
                units: units_done,
                statements: last.map_or(0, |piece| piece.statements.end),
            };
            move |stopped: Stopped| after(half, stopped)
        };
        let mut waits = 0;
        self.settings(step, outline, &units[..step.done.min(units.len())])
            .await
            .map_err(half(step.done))?;
        for (index, piece) in units.iter().enumerate().skip(step.done) {
            if self.interrupt.is_raised() {
                return Err(half(index)(Stopped::RolledBack(interrupted())));
            }
            let sessions = self.sessions;
            match piece.kind {
                Kind::Atomic | Kind::OwnTransaction => {
                    waits += self
                        .atomic((step, outline), piece, index, books)
                        .await
                        .map_err(half(index))?;
                }
                Kind::Alone => {
                    let uncertain = step.uncertain && index == step.done;
                    let piece = Piece {
                        step,
                        outline,
                        statements: piece.statements.clone(),
                    };
                    self.alone(&piece, (index, uncertain), books)
                        .await
                        .map_err(half(index))?;
                }
            }
            if self.sessions > sessions {
                // The settings of the file died with the session that was lost.
                self.settings(step, outline, &units[..=index])
                    .await
                    .map_err(half(index + 1))?;
            }
        }
        self.close(books, (outline.statements.len(), waits))
            .await
            .map_err(half(units.len()))?;
        Ok(Done {
            statements: outline.statements.len(),
            lock_waits: waits,
            ..Done::default()
        })
    }

    /// Records that every unit of a step is done.
    async fn close(
        &mut self,
        books: &dyn Books,
        (statements, waits): (usize, usize),
    ) -> Result<(), Stopped> {
        let mut record = reset();
        record.extend([
            Sql::new("BEGIN"),
            books.opening(),
            books.closing(statements, waits),
        ]);
        self.ours(record).await?;
        self.commit(books.landed(None)).await
    }

    /// Makes the session what the file expects behind units that are done: ours, with the file's settings so far.
    async fn settings(
        &mut self,
        step: &Step,
        outline: &Outline,
        done: &[unit::Piece],
    ) -> Result<(), Stopped> {
        let mut ours = reset();
        let path = self.path.as_ref();
        ours.extend(path.map(|path| Sql::fill("SET search_path TO {}", &[path])));
        self.ours(ours).await?;
        for piece in done {
            for index in piece
                .statements
                .clone()
                .filter(|index| outline.settings.contains(index))
            {
                let sql = Sql::written_by_user(&step.text[outline.statements[index].clone()]);
                self.ours(vec![sql]).await?;
            }
        }
        Ok(())
    }

    /// Runs a unit and its record in one transaction.
    async fn atomic(
        &mut self,
        (step, outline): (&Step, &Outline),
        piece: &unit::Piece,
        index: usize,
        books: &dyn Books,
    ) -> Result<usize, Stopped> {
        let begin = match piece.kind {
            Kind::OwnTransaction => {
                Sql::written_by_user(&step.text[outline.statements[piece.statements.start].clone()])
            }
            _ => Sql::new("BEGIN"),
        };
        let statements = match piece.kind {
            Kind::OwnTransaction => piece.statements.start + 1..piece.statements.end - 1,
            _ => piece.statements.clone(),
        };
        let opening: Vec<Sql> = [begin, Sql::default()]
            .into_iter()
            .chain(block::limits(None, step.timeout))
            .collect();
        let closing = |_: usize| {
            let mut closing = vec![Sql::new("SET CONSTRAINTS ALL IMMEDIATE")];
            closing.extend(OURS.map(Sql::new));
            closing.push(books.unit(index + 1));
            closing
        };
        let piece = Piece {
            step,
            outline,
            statements,
        };
        let waits = self.climb(&piece, opening, 1, &closing).await?;
        self.commit(books.landed(Some(index + 1))).await?;
        Ok(waits)
    }

    /// Runs a statement that no transaction can hold: its intent first, then itself, then that it is done.
    async fn alone(
        &mut self,
        piece: &Piece<'_>,
        (index, uncertain): (usize, bool),
        books: &dyn Books,
    ) -> Result<(), Stopped> {
        let (step, outline, statement) = (piece.step, piece.outline, piece.statements.start);
        let text = &step.text[outline.statements[statement].clone()];
        let trouble = |error: anyhow::Error| Stopped::RolledBack(trouble_of(&error));
        match reconcile::look(&self.session, text, uncertain, self.watch)
            .await
            .map_err(trouble)?
        {
            Known::Done => return self.ours(framed(books.unit(index + 1))).await,
            Known::Unclear => {
                return Err(Stopped::Unknown(
                    Half::default(),
                    unclear(outline, statement),
                ));
            }
            Known::ToDo => {}
        }
        let mut intent = if uncertain {
            Vec::new()
        } else {
            framed(books.began(index + 1))
        };
        let patient = !outline.sets_timeouts(&step.text);
        if patient {
            intent.extend(block::patience(step.timeout));
        }
        self.ours(intent).await?;
        (self.watch)(Event::Advanced {
            done: u64::try_from(statement).unwrap_or(0),
            note: &step.label,
        });
        let sql = Sql::written_by_user(text);
        let ran = self
            .interruptible(async |session: &Session| session.run(&sql).await)
            .await;
        if let Err(error) = ran {
            return Err(self.failed_alone(piece, &error));
        }
        let mut record = framed(books.unit(index + 1));
        if patient {
            record.extend(block::IMPATIENCE.map(Sql::new));
        }
        self.ours(record)
            .await
            .map_err(|stopped| cut_off(piece, stopped))
    }

    /// Says what it means that a statement failed which no transaction held.
    fn failed_alone(&self, piece: &Piece<'_>, error: &anyhow::Error) -> Stopped {
        let range = &piece.outline.statements[piece.statements.start];
        let text = &piece.step.text[range.clone()];
        let mut trouble = trouble_of(error);
        let at = trouble
            .error
            .position
            .and_then(|at| usize::try_from(at).ok())
            .map_or(0, |at| at - 1);
        let byte = text.char_indices().nth(at).map_or(0, |(byte, _)| byte);
        trouble.offset = Some(range.start + byte);
        trouble.statement = Some(piece.statements.start + 1);
        if self.interrupt.is_raised() && !trouble.error.closed {
            return Stopped::RolledBack(Trouble {
                offset: trouble.offset,
                statement: trouble.statement,
                ..interrupted()
            });
        }
        cut_off(piece, Stopped::RolledBack(trouble))
    }

    /// Runs statements of ours as one message.
    async fn ours(&self, statements: Vec<Sql>) -> Result<(), Stopped> {
        let sql = Sql::join(statements.iter().filter(|part| !part.is_empty()), ";\n");
        let ran = self.session.run(&sql).await;
        if let Err(error) = ran {
            self.session.roll_back().await;
            return Err(Stopped::RolledBack(trouble_of(&error)));
        }
        Ok(())
    }
}

/// Says that nobody knows how a statement ended which no transaction held, if the connection is gone.
fn cut_off(piece: &Piece<'_>, stopped: Stopped) -> Stopped {
    let Stopped::RolledBack(mut trouble) = stopped else {
        return stopped;
    };
    if !trouble.error.closed {
        return Stopped::RolledBack(trouble);
    }
    let statement = piece.statements.start;
    trouble.offset = Some(piece.outline.statements[statement].start);
    trouble.statement = Some(statement + 1);
    trouble.hint = Some(
        "run it again: it looks in the catalog whether this statement took effect, and goes on behind it"
            .to_owned(),
    );
    Stopped::Unknown(Half::default(), trouble)
}

/// Puts a record of ours into a transaction of its own that leaves the file's settings as they are.
fn framed(record: Sql) -> Vec<Sql> {
    let mut statements = vec![Sql::new("BEGIN")];
    statements.extend(OURS.map(Sql::new));
    statements.push(record);
    statements.push(Sql::new("COMMIT"));
    statements
}
