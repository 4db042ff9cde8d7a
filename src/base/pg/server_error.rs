//! Owns a server's error in words; `tokio_postgres::Error` itself prints only `db error`.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::sql::redact;

/// What the server said when it refused a statement, or why it could not be asked.
///
/// Travels inside an [`anyhow::Error`]; found again with `err.downcast_ref::<ServerError>()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The primary message.
    pub message: String,
    /// The SQLSTATE; absent when the connection itself failed.
    pub sqlstate: Option<String>,
    /// The server's DETAIL.
    pub detail: Option<String>,
    /// The server's HINT.
    pub hint: Option<String>,
    /// CONTEXT: the call stack inside functions.
    pub context: Option<String>,
    /// Position in the text sent, in characters counted from 1.
    pub position: Option<u32>,
    /// Position within a statement the server made itself, with its text.
    pub internal: Option<(u32, String)>,
    /// The schema of the object it speaks of.
    pub schema: Option<String>,
    /// The table it speaks of.
    pub table: Option<String>,
    /// The column it speaks of.
    pub column: Option<String>,
    /// The constraint it speaks of.
    pub constraint: Option<String>,
    /// Whether the connection is gone.
    pub closed: bool,
}

impl ServerError {
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate.as_deref() == Some(sqlstate)
    }

    /// Hides the values that are secrets of the statement the server speaks of.
    #[must_use]
    pub fn about(mut self, sql: &str) -> Self {
        self.message = redact::prose_about(&self.message, sql);
        for said in [&mut self.detail, &mut self.hint, &mut self.context] {
            *said = said.take().map(|text| redact::prose_about(&text, sql));
        }
        self
    }

    /// Returns whether the server had no room, or was ill or busy: then nothing is wrong with the statement.
    pub fn is_about_the_server(&self) -> bool {
        const CLASSES: [&str; 7] = ["08", "53", "57", "58", "F0", "XX", "55"];
        const OTHERS: [&str; 5] = ["25006", "25P03", "25P04", "40001", "40P01"];
        // An object in the wrong state and a statement that takes too long are the file's own fault; a lock is not.
        const NOT: [&str; 5] = ["55000", "55006", "55P02", "55P04", "57014"];
        self.sqlstate.as_deref().is_some_and(|state| {
            let class = state.get(..2).unwrap_or_default();
            (CLASSES.contains(&class) || OTHERS.contains(&state)) && !NOT.contains(&state)
        })
    }

    /// Returns our own next step for the errors that people meet most.
    pub fn advice(&self) -> Option<&'static str> {
        Self::advice_for(self.sqlstate.as_deref()?)
    }

    /// Returns our own next step for a SQLSTATE.
    pub fn advice_for(sqlstate: &str) -> Option<&'static str> {
        ADVICE
            .iter()
            .find(|(known, _)| *known == sqlstate)
            .map(|(_, advice)| *advice)
    }
}

const ADVICE: &[(&str, &str)] = &[
    (
        "08P01",
        "a pooler or proxy in between may not know what was asked; connect to the server itself",
    ),
    (
        "0A000",
        "the server or a proxy in between does not offer this; connect to the server itself",
    ),
    (
        "25006",
        "the session is read-only: connect to the primary, or set default_transaction_read_only = off",
    ),
    (
        "28000",
        "the server's pg_hba.conf does not let this role in from here, or not without TLS; the role may also not exist or not be allowed to log in",
    ),
    (
        "28P01",
        "check the password; it may come from the address, PGPASSWORD or PGPASSFILE",
    ),
    (
        "3D000",
        "create the database first, or correct its name in the address",
    ),
    (
        "40P01",
        "two sessions waited for each other and the server ended this one; run it again",
    ),
    (
        "42501",
        "grant the right to the role, or connect as the owner of the object",
    ),
    (
        "53100",
        "the server's disk is full; free space there and run it again",
    ),
    (
        "53000",
        "the server ran out of a resource; see its log, give it more and run it again",
    ),
    (
        "53200",
        "the server is out of memory, often max_locks_per_transaction; raise it or do less in one transaction",
    ),
    (
        "53300",
        "the server takes no more connections; end idle ones or raise max_connections",
    ),
    (
        "55P03",
        "another session holds a lock on the object; run it again when it is done",
    ),
    (
        "57014",
        "the statement ran into statement_timeout or was cancelled",
    ),
    (
        "57P01",
        "the server is being shut down or somebody ended the session; run it again",
    ),
    (
        "57P03",
        "the server is starting up or shutting down; try again in a moment",
    ),
    (
        "57P05",
        "the session was idle for longer than the server allows",
    ),
    (
        "25P03",
        "the transaction was idle for longer than the server allows",
    ),
];

impl From<tokio_postgres::Error> for ServerError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return from_db(db);
        }
        let closed = error.is_closed();
        let message = innermost(&error);
        ServerError {
            message,
            closed: closed || is_io(&error),
            ..ServerError::default()
        }
    }
}

fn from_db(db: &DbError) -> ServerError {
    let (position, internal) = match db.position() {
        Some(ErrorPosition::Original(position)) => (Some(*position), None),
        Some(ErrorPosition::Internal { position, query }) => (
            None,
            Some((*position, redact::statement(query).into_owned())),
        ),
        None => (None, None),
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let said = |text: Option<&str>| text.map(|text| redact::prose(text).into_owned());
    ServerError {
        message: redact::prose(db.message()).into_owned(),
        sqlstate: Some(db.code().code().to_owned()),
        detail: said(db.detail()),
        hint: said(db.hint()),
        context: said(db.where_()),
        position,
        internal,
        schema: owned(db.schema()),
        table: owned(db.table()),
        column: owned(db.column()),
        constraint: owned(db.constraint()),
        closed: db.code().code().starts_with("57P0") || db.code().code().starts_with("08"),
    }
}

/// Takes the words of the deepest cause: the driver's own layers say only where it happened.
fn innermost(error: &tokio_postgres::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(sqlstate) = &self.sqlstate {
            write!(f, " (SQLSTATE {sqlstate})")?;
        }
        for (label, text) in [
            ("detail", &self.detail),
            ("server's hint", &self.hint),
            ("context", &self.context),
        ] {
            if let Some(text) = text {
                write!(f, "\n  {label}: {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}
