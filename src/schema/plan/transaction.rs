//! Runs a text in one transaction: one message for everything but the COMMIT, and a second one for the COMMIT.
//!
//! A client that dies before the second message commits nothing; error positions stay exact because the text is sent
//! as it is.

use std::ops::Range;
use std::time::Duration;

use anyhow::Result;

use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::plan::session_effects;
use crate::sql::safe::Sql;

/// A text larger than this is sent in several messages, so that memory stays small.
const MESSAGE: usize = 1 << 20;

/// A transaction to be run.
pub(crate) struct TransactionText<'a> {
    /// The statements before the text.
    pub(crate) opening: Vec<Sql>,
    /// The text of the file.
    pub(crate) text: &'a str,
    /// Its statements, in order.
    pub(crate) statements: &'a [Range<usize>],
    /// The data of each `COPY … FROM STDIN` among them, by its place.
    pub(crate) copies: &'a [(usize, Range<usize>)],
    /// The statements after the text.
    pub(crate) closing: Vec<Sql>,
}

/// Why a block did not run to its end.
#[derive(Debug)]
pub(crate) struct TransactionError {
    /// The server's message.
    pub(crate) error: ServerError,
    /// The statement of the text it stopped at, from 0; absent when it was one of ours.
    pub(crate) statement: Option<usize>,
    /// The byte of the text the server points at.
    pub(crate) offset: Option<usize>,
}

/// A piece of a block that is sent as one message.
enum Message {
    /// Statements from one to before another.
    Run(Range<usize>),
    /// A `COPY` and its data.
    Copy(usize, Range<usize>),
}

/// Runs everything but the COMMIT.
pub(crate) async fn run(
    session: &Session,
    block: &TransactionText<'_>,
    told: &(dyn Fn(usize) + Send + Sync),
) -> Result<(), TransactionError> {
    let messages = messages(block);
    let last = messages.len().saturating_sub(1);
    for (index, message) in messages.iter().enumerate() {
        let opening = if index == 0 {
            block.opening.as_slice()
        } else {
            &[]
        };
        let closing = if index == last {
            block.closing.as_slice()
        } else {
            &[]
        };
        match message {
            Message::Run(statements) => {
                send(session, block, statements.clone(), opening, closing, told).await?
            }
            Message::Copy(statement, data) => {
                if !opening.is_empty() {
                    send(session, block, 0..0, opening, &[], told).await?;
                }
                copy(session, block, *statement, data.clone()).await?;
                told(statement + 1);
                if !closing.is_empty() {
                    let end = block.statements.len();
                    send(session, block, end..end, &[], closing, told).await?;
                }
            }
        }
    }
    Ok(())
}

/// Cuts a block into messages: at each COPY, behind what changes how text is read, and where one would grow too large.
fn messages(block: &TransactionText<'_>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut copies = block.copies.iter().peekable();
    let mut start = 0;
    for (index, statement) in block.statements.iter().enumerate() {
        if let Some((_, data)) = copies.next_if(|(at, _)| *at == index) {
            if start < index {
                messages.push(Message::Run(start..index));
            }
            messages.push(Message::Copy(index, data.clone()));
            start = index + 1;
        } else if statement.end - block.statements[start].start > MESSAGE
            || session_effects::changes_lexing(&block.text[statement.clone()])
        {
            messages.push(Message::Run(start..index + 1));
            start = index + 1;
        }
    }
    if start < block.statements.len() || messages.is_empty() {
        messages.push(Message::Run(start..block.statements.len()));
    }
    messages
}

async fn send(
    session: &Session,
    block: &TransactionText<'_>,
    statements: Range<usize>,
    opening: &[Sql],
    closing: &[Sql],
    told: &(dyn Fn(usize) + Send + Sync),
) -> Result<(), TransactionError> {
    let mut sql = Sql::default();
    for part in opening {
        sql.piece(part).push(";\n");
    }
    let before = sql.as_str().len();
    let range = match (
        block.statements.get(statements.start),
        statements.end.checked_sub(1),
    ) {
        (Some(first), Some(last)) if !statements.is_empty() => {
            first.start..block.statements[last].end
        }
        _ => 0..0,
    };
    let text = &block.text[range.clone()];
    if !text.is_empty() {
        // A newline ends a comment that the text may end in; an empty statement does nothing.
        sql.piece(&Sql::written_by_user(text)).push("\n;\n");
    }
    for part in closing {
        sql.piece(part).push(";\n");
    }
    let first = statements.start;
    let count = |finished: usize| {
        let own = finished.saturating_sub(opening.len());
        if own > 0 && own <= statements.len() {
            told(first + own);
        }
    };
    let Err((finished, error)) = session.run_counting(&sql, &count).await else {
        return Ok(());
    };
    let character = error
        .position
        .map(|at| usize::try_from(at).unwrap_or(1).saturating_sub(1));
    let byte = character
        .and_then(|at| sql.as_str().char_indices().nth(at))
        .map(|(byte, _)| byte);
    let inside = byte
        .and_then(|byte| byte.checked_sub(before))
        .filter(|at| *at < text.len());
    let statement = match inside {
        // A position is better than a count: a syntax error is found before anything runs.
        Some(at) => block
            .statements
            .iter()
            .position(|range_of| range_of.end > range.start + at),
        None => {
            let own = finished
                .checked_sub(opening.len())
                .filter(|own| *own < statements.len());
            own.map(|own| first + own).filter(|_| byte.is_none())
        }
    };
    Err(TransactionError {
        error,
        statement,
        offset: inside.map(|at| range.start + at),
    })
}

async fn copy(
    session: &Session,
    block: &TransactionText<'_>,
    statement: usize,
    data: Range<usize>,
) -> Result<(), TransactionError> {
    let fault = |error: anyhow::Error| TransactionError {
        error: error
            .downcast_ref::<ServerError>()
            .cloned()
            .unwrap_or_else(|| ServerError {
                message: error.to_string(),
                ..ServerError::default()
            }),
        statement: Some(statement),
        offset: None,
    };
    let sql = Sql::written_by_user(&block.text[block.statements[statement].clone()]);
    session
        .copy_text(&sql, &block.text[data])
        .await
        .map_err(fault)
}

/// How long a non-transactional statement may take, where its file does not say.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// Undoes [`patience`].
pub(crate) const IMPATIENCE: [&str; 2] = ["RESET lock_timeout", "RESET statement_timeout"];

/// Returns the settings that a statement runs with which runs outside a transaction.
///
/// It waits for others by its nature, without keeping anybody from reading or writing; a timeout meant for short
/// statements would leave an invalid index behind.
pub(crate) fn patience(statement: Option<Duration>) -> [Sql; 2] {
    let time = statement.unwrap_or(PATIENCE).as_millis();
    let milliseconds = i64::try_from(time).unwrap_or(i64::from(i32::MAX));
    [
        Sql::new("SET lock_timeout = 0"),
        Sql::fill("SET statement_timeout = {}", &[&milliseconds]),
    ]
}

/// Returns the settings that a transaction of ours begins with; each is undone at its end.
pub(crate) fn limits(lock: Option<Duration>, statement: Option<Duration>) -> Vec<Sql> {
    let milliseconds =
        |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::from(i32::MAX));
    let mut settings = Vec::new();
    if let Some(lock) = lock {
        settings.push(Sql::fill(
            "SET LOCAL lock_timeout = {}",
            &[&milliseconds(lock)],
        ));
    }
    if let Some(statement) = statement {
        settings.push(Sql::fill(
            "SET LOCAL statement_timeout = {}",
            &[&milliseconds(statement)],
        ));
    }
    settings
}
