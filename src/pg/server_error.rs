//! Owns a server's error in words; `tokio_postgres::Error` itself prints only `db error`.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition};

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
    /// Says whether the SQLSTATE is this one.
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate.as_deref() == Some(sqlstate)
    }
}

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
        Some(ErrorPosition::Internal { position, query }) => {
            (None, Some((*position, query.clone())))
        }
        None => (None, None),
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    ServerError {
        message: db.message().to_owned(),
        sqlstate: Some(db.code().code().to_owned()),
        detail: owned(db.detail()),
        hint: owned(db.hint()),
        context: owned(db.where_()),
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
