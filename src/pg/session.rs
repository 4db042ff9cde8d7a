//! Owns one connection and everything that is sent over it; the only file that sends SQL.
//!
//! Statements of ours are static text with parameters, in one round trip each (unnamed statements with known
//! types, so that nothing is left behind in a pooler). Everything assembled arrives as a [`Sql`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{
    AsyncMessage, CancelToken, Client, Connection, CopyInSink, CopyOutStream, Row,
    SimpleQueryMessage,
};

use crate::finding::Severity;
use crate::pg::server_error::ServerError;
use crate::sql::safe::Sql;

/// A parameter with its type, so that the server is not asked for it.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// What the server said beside its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// WARNING is a warning, everything else a note.
    pub severity: Severity,
    /// The server's words.
    pub message: String,
    /// The SQLSTATE.
    pub sqlstate: String,
}

/// A live connection.
///
/// Dropping it closes the connection; the server rolls back what was not committed.
pub struct Session {
    client: Client,
    // Filled by the task that drives the socket, emptied by whoever ran the statement.
    notices: Arc<Mutex<VecDeque<Notice>>>,
    driver: tokio::task::JoinHandle<()>,
}

impl Session {
    /// Takes over a fresh connection and drives its socket until the session is dropped.
    pub fn start<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let notices = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&notices);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notice(notice) = message {
                    let severity = if notice.severity() == "WARNING" {
                        Severity::Warn
                    } else {
                        Severity::Note
                    };
                    let notice = Notice {
                        severity,
                        message: notice.message().to_owned(),
                        sqlstate: notice.code().code().to_owned(),
                    };
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push_back(notice);
                }
            }
        });
        Session {
            client,
            notices,
            driver,
        }
    }

    /// Asks one of our own questions, in one round trip.
    ///
    /// Calls made without awaiting in between (`futures_util::future::join`) are pipelined.
    pub async fn query(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        Ok(self
            .client
            .query_typed(sql, params)
            .await
            .map_err(ServerError::from)?)
    }

    /// Asks one of our own questions whose answer is exactly one row.
    pub async fn query_one(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Row> {
        let mut rows = self.query(sql, params).await?;
        anyhow::ensure!(
            rows.len() == 1,
            "expected one row, the server gave {}",
            rows.len()
        );
        Ok(rows.remove(0))
    }

    /// Runs one of our own statements and gives the number of rows touched.
    pub async fn execute(&self, sql: &'static str, params: &[Param<'_>]) -> Result<u64> {
        Ok(self
            .client
            .execute_typed(sql, params)
            .await
            .map_err(ServerError::from)?)
    }

    /// Asks an assembled question with parameters, in one round trip.
    pub async fn query_sql(&self, sql: &Sql, params: &[Param<'_>]) -> Result<Vec<Row>> {
        Ok(self
            .client
            .query_typed(sql.as_str(), params)
            .await
            .map_err(ServerError::from)?)
    }

    /// Runs assembled text, several statements if need be, in one message and one round trip.
    ///
    /// The server treats several statements in one message as one transaction unless they say otherwise.
    pub async fn run(&self, sql: &Sql) -> Result<()> {
        Ok(self
            .client
            .batch_execute(sql.as_str())
            .await
            .map_err(ServerError::from)?)
    }

    /// Runs assembled text and gives every row and completion as text.
    pub async fn ask(&self, sql: &Sql) -> Result<Vec<SimpleQueryMessage>> {
        Ok(self
            .client
            .simple_query(sql.as_str())
            .await
            .map_err(ServerError::from)?)
    }

    /// Begins a `COPY … TO STDOUT`.
    pub async fn copy_out(&self, sql: &Sql) -> Result<CopyOutStream> {
        Ok(self
            .client
            .copy_out(sql.as_str())
            .await
            .map_err(ServerError::from)?)
    }

    /// Begins a `COPY … FROM STDIN`.
    pub async fn copy_in(&self, sql: &Sql) -> Result<CopyInSink<bytes::Bytes>> {
        Ok(self
            .client
            .copy_in(sql.as_str())
            .await
            .map_err(ServerError::from)?)
    }

    /// Takes what the server has said beside its answers since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect()
    }

    /// Gives the token that cancels the running statement from another connection.
    pub fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Says whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Says goodbye and waits until everything was sent.
    pub async fn close(self) {
        let Session { client, driver, .. } = self;
        drop(client);
        // The driving task ends by itself once the client is gone; a panic in it has nothing left to harm.
        let _ = driver.await;
    }
}
