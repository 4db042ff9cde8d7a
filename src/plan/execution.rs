//! Owns the execution: the one loop that runs steps, under the lock, on the ladder, with each step's record.
//!
//! Having an [`Execution`] is to hold the lock; nothing else runs a [`Step`].

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::error::{Exit, Failure, with_exit};
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::pg::backend::{self, Backend};
use crate::pg::connect;
use crate::pg::facts;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::plan::block::{self, Block, Fault};
use crate::plan::ladder::Ladder;
use crate::plan::reconcile::{self, Known};
use crate::plan::unit::{self, Kind, Outline};
use crate::plan::{Books, Done, Mode, Step};
use crate::sql::safe::Sql;

/// A locked run.
pub struct Execution<'a> {
    session: Session,
    target: &'a Target,
    ladder: Ladder,
    watch: Watch<'a>,
    interrupt: &'a Interrupt,
    // Opened only when a statement is kept waiting: it asks who blocks us.
    onlooker: Option<Session>,
}

/// Why a step did not run to its end.
#[derive(Debug)]
pub enum Stopped {
    /// Nothing of it stays.
    RolledBack(Trouble),
    /// So many of its units stay.
    HalfWay(usize, Trouble),
    /// Nobody can say whether its COMMIT arrived: the connection was lost in between.
    Unknown(Trouble),
}

/// What went wrong and where.
#[derive(Debug)]
pub struct Trouble {
    /// How the program ends.
    pub exit: Exit,
    /// The server's words, or ours.
    pub error: ServerError,
    /// The byte of the text it points at, or where its statement begins.
    pub offset: Option<usize>,
    /// The statement, counted from 1.
    pub statement: Option<usize>,
    /// What a person does next.
    pub hint: Option<String>,
}

/// Puts every setting back to what the session began with, whoever changed it.
fn reset() -> Vec<Sql> {
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
        }
    }

    /// Gives the session for reading.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the run and gives the session back.
    pub fn finish(self) -> Session {
        self.session
    }

    /// Runs one step with its record.
    pub async fn run(&mut self, step: &Step, books: &dyn Books) -> Result<Done, Stopped> {
        let outline = unit::outline(&step.text);
        let total = u64::try_from(outline.statements.len()).unwrap_or(u64::MAX);
        (self.watch)(Event::Began {
            task: &step.label,
            total: Some(total),
            unit: Unit::Items,
        });
        let ran = match step.mode {
            Mode::Transaction => self.whole(step, &outline, books).await,
            Mode::Statements => self.pieces(step, &outline, books).await,
        };
        (self.watch)(Event::Ended);
        for notice in self.session.take_notices() {
            (self.watch)(Event::Notice {
                severity: notice.severity,
                message: &notice.message,
            });
        }
        ran
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
            // The first error is the one that matters; a rollback can only fail when the connection is gone.
            let _ = self.session.run(&Sql::new("ROLLBACK")).await;
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
        let mut opening = reset();
        opening.extend([Sql::new("BEGIN"), Sql::default()]);
        let slot = opening.len() - 1;
        opening.extend(block::limits(None, step.timeout));
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
        Ok(Done {
            statements,
            lock_waits: waits,
        })
    }

    async fn pieces(
        &mut self,
        step: &Step,
        outline: &Outline,
        books: &dyn Books,
    ) -> Result<Done, Stopped> {
        let units = unit::units(outline);
        let mut done = step.done;
        let mut waits = 0;
        let half = |done: usize| move |stopped: Stopped| after(done, stopped);
        self.ours(reset()).await.map_err(half(done))?;
        self.replay(step, outline, &units[..done.min(units.len())])
            .await
            .map_err(half(done))?;
        for (index, piece) in units.iter().enumerate().skip(step.done) {
            if self.interrupt.is_raised() {
                return Err(half(done)(Stopped::RolledBack(interrupted())));
            }
            let uncertain = step.uncertain && index == step.done;
            match piece.kind {
                Kind::Atomic | Kind::OwnTransaction => {
                    waits += self
                        .atomic(step, outline, piece, books.unit(index + 1))
                        .await
                        .map_err(half(done))?;
                }
                Kind::Alone => self
                    .alone(
                        &Piece {
                            step,
                            outline,
                            statements: piece.statements.clone(),
                        },
                        (index, uncertain),
                        books,
                    )
                    .await
                    .map_err(half(done))?,
            }
            done += 1;
        }
        let closing = books.closing(outline.statements.len(), waits);
        let mut record = reset();
        record.push(Sql::new("BEGIN"));
        record.push(books.opening());
        record.push(closing);
        record.push(Sql::new("COMMIT"));
        self.ours(record).await.map_err(half(done))?;
        Ok(Done {
            statements: outline.statements.len(),
            lock_waits: waits,
        })
    }

    /// Repeats the settings of units done in an earlier run, which died with that run's session.
    async fn replay(
        &mut self,
        step: &Step,
        outline: &Outline,
        done: &[unit::Piece],
    ) -> Result<(), Stopped> {
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
        step: &Step,
        outline: &Outline,
        piece: &unit::Piece,
        record: Sql,
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
            closing.push(record.clone());
            closing
        };
        self.climb(
            &Piece {
                step,
                outline,
                statements,
            },
            opening,
            1,
            &closing,
        )
        .await
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
            Known::Unclear => return Err(Stopped::RolledBack(unclear(outline, statement))),
            Known::ToDo => {}
        }
        if !uncertain {
            self.ours(framed(books.began(index + 1))).await?;
        }
        (self.watch)(Event::Advanced {
            done: u64::try_from(statement).unwrap_or(0),
            note: &step.label,
        });
        let alone = Sql::written_by_user(text);
        let ran = self
            .interruptible(async |session: &Session| session.run(&alone).await)
            .await;
        if let Err(error) = ran {
            let mut trouble = trouble_of(&error);
            let at = trouble
                .error
                .position
                .and_then(|at| usize::try_from(at).ok())
                .map_or(0, |at| at - 1);
            let byte = text.char_indices().nth(at).map_or(0, |(byte, _)| byte);
            trouble.offset = Some(outline.statements[statement].start + byte);
            trouble.statement = Some(statement + 1);
            return Err(Stopped::RolledBack(trouble));
        }
        self.ours(framed(books.unit(index + 1))).await
    }

    /// Tries a transaction again and again, each time from its beginning, until its locks can be had.
    async fn climb(
        &mut self,
        piece: &Piece<'_>,
        mut opening: Vec<Sql>,
        slot: usize,
        closing: &(dyn Fn(usize) -> Vec<Sql> + Send + Sync),
    ) -> Result<usize, Stopped> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            let wait = self.ladder.wait(attempt);
            opening[slot] = block::limits(Some(wait), None).remove(0);
            let closing = closing(attempt);
            let (ran, blockers) = self.attempt(piece, opening.clone(), closing, wait).await;
            let Err(fault) = ran else { break };
            if self.interrupt.is_raised() {
                self.roll_back().await;
                return Err(Stopped::RolledBack(interrupted()));
            }
            self.roll_back().await;
            if !(fault.error.is("55P03") || fault.error.is("40P01")) {
                return Err(Stopped::RolledBack(piece.trouble(fault)));
            }
            let pause = self.ladder.pause(attempt, random());
            self.tell_blockers(&blockers, attempt);
            if began.elapsed() + pause > self.ladder.budget {
                return Err(Stopped::RolledBack(
                    self.out_of_time(piece.trouble(fault), &blockers),
                ));
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.interrupt.wait() => return Err(Stopped::RolledBack(interrupted())),
            }
            attempt += 1;
        }
        match self.session.run(&Sql::new("COMMIT")).await {
            Ok(()) => Ok(attempt),
            Err(error) => {
                let trouble = trouble_of(&error);
                let unknown = trouble.error.closed || self.session.is_closed();
                if !unknown {
                    self.roll_back().await;
                }
                Err(if unknown {
                    Stopped::Unknown(trouble)
                } else {
                    Stopped::RolledBack(trouble)
                })
            }
        }
    }

    /// Runs a transaction up to its COMMIT; looks who blocks it when it is kept waiting.
    async fn attempt(
        &mut self,
        piece: &Piece<'_>,
        opening: Vec<Sql>,
        closing: Vec<Sql>,
        wait: Duration,
    ) -> (Result<(), Fault>, Vec<Backend>) {
        let outline = piece.outline;
        let first = piece.statements.start;
        let inside = |(at, _): &&(usize, Range<usize>)| piece.statements.contains(at);
        let copies: Vec<_> = outline
            .copies
            .iter()
            .filter(inside)
            .map(|(at, data)| (at - first, data.clone()))
            .collect();
        let block = Block {
            opening,
            text: &piece.step.text,
            statements: &outline.statements[piece.statements.clone()],
            copies: &copies,
            closing,
        };
        let watch = self.watch;
        let total = outline.statements.len();
        let told = |done: usize| {
            let note = format!(
                "{}, statement {} of {total}",
                piece.step.label,
                first + done
            );
            watch(Event::Advanced {
                done: u64::try_from(first + done).unwrap_or(0),
                note: &note,
            });
        };
        let (session, onlooker, target) = (&self.session, &mut self.onlooker, self.target);
        let blockers = Mutex::new(Vec::new());
        let work = block::run(session, &block, &told);
        tokio::pin!(work);
        // Long enough that a free lock never costs a second connection, short enough to see the blocker.
        let look = tokio::time::sleep(wait.mul_f64(0.4));
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

    /// Runs statements of ours as one message.
    async fn ours(&self, statements: Vec<Sql>) -> Result<(), Stopped> {
        let sql = Sql::join(statements.iter().filter(|part| !part.is_empty()), ";\n");
        let ran = self.session.run(&sql).await;
        if let Err(error) = ran {
            self.roll_back().await;
            return Err(Stopped::RolledBack(trouble_of(&error)));
        }
        Ok(())
    }

    /// Waits for work; an interrupt cancels it on the server and the work then ends with the server's words.
    async fn interruptible(&self, work: impl AsyncFnOnce(&Session) -> Result<()>) -> Result<()> {
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

    async fn roll_back(&self) {
        // Fails only when the connection is gone, and then the server rolls back by itself.
        let _ = self.session.run(&Sql::new("ROLLBACK")).await;
    }

    fn tell_blockers(&self, blockers: &[Backend], attempt: usize) {
        // The first rungs are so short that waiting there is no news.
        if attempt < 3 {
            return;
        }
        match blockers.first() {
            Some(blocker) => (self.watch)(Event::Warned(&format!(
                "waiting for a lock held by {blocker}"
            ))),
            None => (self.watch)(Event::Warned("waiting for a lock")),
        }
    }

    fn out_of_time(&self, mut trouble: Trouble, blockers: &[Backend]) -> Trouble {
        trouble.exit = Exit::Busy;
        let mut hint = String::from("try again later");
        for blocker in blockers {
            let pid = blocker.pid;
            hint.push_str(&format!(
                "\n  held by {blocker}\n  to end it: SELECT pg_terminate_backend({pid})"
            ));
        }
        trouble.hint = Some(hint);
        trouble
    }
}

/// A range of a step's statements.
struct Piece<'a> {
    step: &'a Step,
    outline: &'a Outline,
    statements: Range<usize>,
}

impl Piece<'_> {
    fn trouble(&self, fault: Fault) -> Trouble {
        let statement = fault.statement.map(|at| self.statements.start + at);
        let begin = statement
            .and_then(|at| self.outline.statements.get(at))
            .map(|range| range.start);
        Trouble {
            exit: Exit::CannotDo,
            error: fault.error,
            offset: fault.offset.or(begin),
            statement: statement.map(|at| at + 1),
            hint: None,
        }
    }
}

/// Puts a record of ours into a transaction of its own that leaves the file's settings as they are.
fn framed(record: Sql) -> Vec<Sql> {
    let mut statements = vec![Sql::new("BEGIN")];
    statements.extend(OURS.map(Sql::new));
    statements.push(record);
    statements.push(Sql::new("COMMIT"));
    statements
}

fn after(done: usize, stopped: Stopped) -> Stopped {
    match stopped {
        Stopped::RolledBack(trouble) if done > 0 => Stopped::HalfWay(done, trouble),
        other => other,
    }
}

fn trouble_of(error: &anyhow::Error) -> Trouble {
    let server = error.downcast_ref::<ServerError>().cloned();
    let failure = error.downcast_ref::<Failure>();
    Trouble {
        exit: failure.map_or(Exit::CannotDo, |failure| failure.exit),
        error: server.unwrap_or_else(|| ServerError {
            message: error.to_string(),
            ..ServerError::default()
        }),
        offset: None,
        statement: None,
        hint: failure.and_then(|failure| failure.hint.clone()),
    }
}

fn interrupted() -> Trouble {
    trouble_of(&with_exit(Exit::Interrupted, "interrupted").into())
}

fn unclear(outline: &Outline, statement: usize) -> Trouble {
    let words = "an earlier run was cut off while this statement ran, and nothing in the catalog tells whether it took effect";
    let hint =
        "look yourself, then say which: af-db repair --resume VERSION --as done, or --as not-done";
    let mut trouble = trouble_of(&crate::error::fail(words).hint(hint).into());
    trouble.offset = outline.statements.get(statement).map(|range| range.start);
    trouble.statement = Some(statement + 1);
    trouble
}

async fn who_blocks(
    session: &Session,
    onlooker: &mut Option<Session>,
    target: &Target,
) -> Vec<Backend> {
    if onlooker.is_none() {
        // Who blocks is told for convenience; that it cannot be seen stops nothing.
        *onlooker = connect::open(target, &crate::event::silent).await.ok();
    }
    let Some(onlooker) = onlooker else {
        return Vec::new();
    };
    backend::blockers(onlooker, session.facts().backend_pid)
        .await
        .unwrap_or_default()
}

async fn cancel(session: &Session) {
    // A cancel that does not arrive is followed by the end of the connection, which the server notices.
    let _ = session.canceller().cancel().await;
}

/// Gives a number from 0 to 1; good enough to keep two runners from trying in step.
fn random() -> f64 {
    let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(nanoseconds.map_or(0, |since| since.subsec_nanos()) % 1_000_000) / 1_000_000.0
}
