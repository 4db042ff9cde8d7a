//! One connection and everything that is sent over it; the only file that sends SQL.
//!
//! Our own statements are static text with parameters, in one round trip each (unnamed statements with known types,
//! so that nothing is left behind in a pooler). Assembled statements are passed as [`Sql`].

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Result;
use futures_util::future::poll_fn;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{
    AsyncMessage, Client, Connection, CopyInSink, CopyOutStream, Row, RowStream,
    SimpleQueryMessage, Statement,
};

use crate::finding::Severity;
use crate::pg::cancel::{Canceller, Endpoint};
use crate::pg::embedded::sandbox::{self, Confinement};
use crate::pg::server_error::ServerError;
use crate::pg::server_info::{PoolMode, ServerInfo};
use crate::sql::redact;
use crate::sql::safe::Sql;

/// A parameter with its type, so that the server is not asked for it.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A stream of rows.
pub struct Rows<'a> {
    stream: Pin<Box<RowStream>>,
    session: &'a Session,
}

impl Rows<'_> {
    /// Returns `None` after the last row.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        let row = self.stream.next().await.transpose();
        Ok(row.map_err(|error| self.session.error(error))?)
    }
}

/// A notice sent by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// WARNING is a warning, everything else a note.
    pub severity: Severity,
    pub message: String,
    pub sqlstate: String,
}

/// The notices since the last call of `take`; of a flood the first ones are kept and the rest is counted.
#[derive(Debug, Default)]
struct Notices {
    kept: VecDeque<Notice>,
    /// Numbers of notes and warnings not kept.
    more: [usize; 2],
}

impl Notices {
    /// The numbers of notes and of warnings that are kept.
    const KEPT: usize = 200;
    /// The length of a message that is kept, in bytes.
    const LENGTH: usize = 8192;

    fn push(&mut self, mut notice: Notice) {
        let is_same = |kept: &&Notice| kept.severity == notice.severity;
        if self.kept.iter().filter(is_same).count() >= Self::KEPT {
            self.more[usize::from(notice.severity == Severity::Warn)] += 1;
            return;
        }
        let end = notice.message.floor_char_boundary(Self::LENGTH);
        notice.message.truncate(end);
        self.kept.push_back(notice);
    }

    fn take(&mut self) -> Vec<Notice> {
        let mut taken: Vec<Notice> = self.kept.drain(..).collect();
        for (more, what, severity) in [
            (self.more[0], "notice", Severity::Note),
            (self.more[1], "warning", Severity::Warn),
        ] {
            if more > 0 {
                let plural = if more == 1 { "" } else { "s" };
                taken.push(Notice {
                    severity,
                    message: format!("{more} more {what}{plural} not shown"),
                    sqlstate: "00000".to_owned(),
                });
            }
        }
        self.more = [0; 2];
        taken
    }
}

/// A live connection.
///
/// Dropping it closes the connection; the server rolls back what was not committed.
pub struct Session {
    client: Client,
    // Filled by the task that drives the socket, emptied by the caller that ran the statement.
    notices: Arc<Mutex<Notices>>,
    // The server's error message when it closed the connection; set by the driving task.
    close_reason: Arc<OnceLock<ServerError>>,
    driver: tokio::task::JoinHandle<()>,
    endpoint: Endpoint,
    info: OnceLock<ServerInfo>,
    /// Restricts what SQL that is only tried can access outside of the server.
    pub(super) confinement: Confinement,
    pooling: OnceLock<PoolMode>,
}

impl Session {
    /// Drives the socket of a fresh connection until the session is dropped.
    pub(super) fn start<S, T>(
        client: Client,
        connection: Connection<S, T>,
        endpoint: Endpoint,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let notices = Arc::new(Mutex::new(Notices::default()));
        let close_reason = Arc::new(OnceLock::new());
        let driving = drive(connection, Arc::clone(&notices), Arc::clone(&close_reason));
        let driver = tokio::spawn(driving);
        Session {
            client,
            notices,
            close_reason,
            driver,
            endpoint,
            info: OnceLock::new(),
            confinement: Confinement::None,
            pooling: OnceLock::new(),
        }
    }

    pub(super) fn set_server_info(&self, info: ServerInfo) {
        if !info.is_proxied() {
            self.learn_pooling(PoolMode::Direct);
        }
        self.info.get_or_init(|| info);
    }

    pub fn server_info(&self) -> &ServerInfo {
        self.info
            .get()
            .expect("a session is handed out only with its server info")
    }

    /// Returns how the connection is pooled, where already known; `pooler::mode` determines it.
    pub fn pooling(&self) -> Option<PoolMode> {
        self.pooling.get().copied()
    }

    pub(super) fn learn_pooling(&self, mode: PoolMode) {
        self.pooling.get_or_init(|| mode);
    }

    /// Sets `search_path`; only for a session that keeps its server process.
    pub async fn set_search_path(&mut self, path: &Sql) -> Result<()> {
        self.run(&Sql::fill("SET search_path TO {}", &[path]))
            .await?;
        if let Some(info) = self.info.get_mut() {
            path.as_str().clone_into(&mut info.search_path);
        }
        Ok(())
    }

    /// Converts an error; for a closed connection, with the server's reason.
    fn error(&self, error: tokio_postgres::Error) -> ServerError {
        let mut error = ServerError::from(error);
        if self.confinement == Confinement::Sandbox {
            sandbox::explain(&mut error);
        }
        match self.close_reason.get() {
            Some(close_reason) if error.closed && error.sqlstate.is_none() => close_reason.clone(),
            _ => error,
        }
    }

    /// Converts an error about assembled text, and redacts the secrets of that text.
    fn error_about(&self, error: tokio_postgres::Error, sql: &Sql) -> ServerError {
        self.error(error).about(sql.as_str())
    }

    /// Runs one of our own queries, in one round trip.
    ///
    /// Calls made without awaiting in between (`futures_util::future::join`) are pipelined.
    pub async fn query(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        Ok(self
            .client
            .query_typed(sql, params)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Runs one of our own queries and streams its rows.
    ///
    /// Pipelined like [`Session::query`]; each of several results must be read to its end before the next one arrives.
    pub async fn stream(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Rows<'_>> {
        let params = params
            .iter()
            .map(|(value, of_type)| (*value, of_type.clone()));
        let stream = self.client.query_typed_raw(sql, params).await;
        Ok(Rows {
            stream: Box::pin(stream.map_err(|error| self.error(error))?),
            session: self,
        })
    }

    /// Runs one of our own queries that returns exactly one row.
    pub async fn query_one(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Row> {
        let mut rows = self.query(sql, params).await?;
        anyhow::ensure!(
            rows.len() == 1,
            "expected one row, the server returned {}",
            rows.len()
        );
        Ok(rows.remove(0))
    }

    /// Prepares one of our own queries, to be run repeatedly by [`Session::query_prepared`].
    ///
    /// Only for servers of our own: a pooler may prepare on one server process and execute on another.
    pub async fn prepare(&self, sql: &'static str, types: &[Type]) -> Result<Statement> {
        Ok(self
            .client
            .prepare_typed(sql, types)
            .await
            .map_err(|error| self.error(error))?)
    }

    pub async fn query_prepared(&self, kept: &Statement, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let values: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
        Ok(self
            .client
            .query(kept, &values)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Runs a prepared query and streams its rows, like [`Session::stream`].
    pub async fn stream_prepared(
        &self,
        kept: &Statement,
        params: &[Param<'_>],
    ) -> Result<Rows<'_>> {
        let values = params.iter().map(|(value, _)| *value);
        let stream = self.client.query_raw(kept, values).await;
        Ok(Rows {
            stream: Box::pin(stream.map_err(|error| self.error(error))?),
            session: self,
        })
    }

    /// Runs one of our own statements and returns the number of affected rows.
    pub async fn execute(&self, sql: &'static str, params: &[Param<'_>]) -> Result<u64> {
        Ok(self
            .client
            .execute_typed(sql, params)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Runs an assembled query with parameters, in one round trip.
    pub async fn query_sql(&self, sql: &Sql, params: &[Param<'_>]) -> Result<Vec<Row>> {
        Ok(self
            .client
            .query_typed(sql.as_str(), params)
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Returns the size of the database in bytes; the server looks at every file of the database for it.
    pub async fn database_size(&self) -> Result<i64> {
        let row = self
            .query_one(
                "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())",
                &[],
            )
            .await?;
        Ok(row.get(0))
    }

    /// Runs assembled text of one or more statements in one message and one round trip.
    ///
    /// The server runs several statements in one message as one transaction unless they control it themselves.
    pub async fn run(&self, sql: &Sql) -> Result<()> {
        Ok(self
            .client
            .batch_execute(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Rolls back a failed transaction, if it had begun at all: text that cannot be parsed begins none.
    ///
    /// The earlier failure is the one to report. Rolling back fails only when the connection is closed, and then the server
    /// rolls back by itself; the warning that there was no transaction is dropped.
    pub async fn roll_back(&self) {
        const NO_ACTIVE_TRANSACTION: &str = "25P01";
        let before = self.take_notices();
        let _ = self.run(&Sql::new("ROLLBACK")).await;
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices
            .kept
            .retain(|notice| notice.sqlstate != NO_ACTIVE_TRANSACTION);
        for notice in before.into_iter().rev() {
            notices.kept.push_front(notice);
        }
    }

    /// Runs assembled text and reports the number of statements completed; an error is returned with that number.
    pub async fn run_counting(
        &self,
        sql: &Sql,
        on_completed: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), (usize, ServerError)> {
        let mut finished = 0;
        let stream = self.client.simple_query_raw(sql.as_str()).await;
        let mut stream = std::pin::pin!(stream.map_err(|error| (0, self.error_about(error, sql)))?);
        while let Some(message) = stream.next().await {
            if let SimpleQueryMessage::CommandComplete(_) =
                message.map_err(|error| (finished, self.error_about(error, sql)))?
            {
                finished += 1;
                on_completed(finished);
            }
        }
        Ok(())
    }

    /// Runs a `COPY … FROM STDIN` with its data.
    pub async fn copy_text(&self, sql: &Sql, data: &str) -> Result<()> {
        const PIECE: usize = 1 << 16;
        let mut sink = std::pin::pin!(self.copy_in(sql).await?);
        for piece in data.as_bytes().chunks(PIECE) {
            let piece = bytes::Bytes::copy_from_slice(piece);
            sink.send(piece).await.map_err(|error| self.error(error))?;
        }
        sink.finish().await.map_err(|error| self.error(error))?;
        Ok(())
    }

    /// Runs assembled text and returns every row and completion as text.
    pub async fn simple_query(&self, sql: &Sql) -> Result<Vec<SimpleQueryMessage>> {
        Ok(self
            .client
            .simple_query(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Starts a `COPY … TO STDOUT`.
    pub async fn copy_out(&self, sql: &Sql) -> Result<CopyOutStream> {
        Ok(self
            .client
            .copy_out(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Starts a `COPY … FROM STDIN`.
    pub async fn copy_in(&self, sql: &Sql) -> Result<CopyInSink<bytes::Bytes>> {
        Ok(self
            .client
            .copy_in(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Returns the notices since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Returns what restricts SQL that is only tried here.
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Returns a handle that cancels the running statement from another connection.
    pub fn canceller(&self) -> Canceller {
        Canceller::new(self.client.cancel_token(), self.endpoint.clone())
    }

    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Closes the connection and waits until everything was sent.
    pub async fn close(self) {
        let Session { client, driver, .. } = self;
        drop(client);
        // The driving task ends by itself once the client is dropped; a dead network must not block us.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, driver).await;
    }
}

/// Time limit of closing a connection.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Drives the socket until the client or the server closes the connection, and collects notices.
async fn drive<S, T>(
    mut connection: Connection<S, T>,
    notices: Arc<Mutex<Notices>>,
    close_reason: Arc<OnceLock<ServerError>>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                close_reason.get_or_init(|| ServerError::from(error));
                return;
            }
        };
        if let AsyncMessage::Notice(notice) = message {
            // The parsed severity: the other one is in the server's language.
            let severity = match notice.parsed_severity() {
                Some(tokio_postgres::error::Severity::Warning) => Severity::Warn,
                _ => Severity::Note,
            };
            notices
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Notice {
                    severity,
                    message: redact::prose(notice.message()).into_owned(),
                    sqlstate: notice.code().code().to_owned(),
                });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_notices_is_counted_but_not_kept() {
        let mut notices = Notices::default();
        let notice = |severity, message: String| Notice {
            severity,
            message,
            sqlstate: "00000".to_owned(),
        };
        for number in 0..1000 {
            notices.push(notice(
                Severity::Note,
                format!("{number} {}", "☃".repeat(9000)),
            ));
        }
        notices.push(notice(Severity::Warn, "look here".to_owned()));
        let taken = notices.take();
        assert_eq!(taken.len(), Notices::KEPT + 2);
        assert!(
            taken
                .iter()
                .all(|notice| notice.message.len() <= Notices::LENGTH)
        );
        assert_eq!(taken[Notices::KEPT].message, "look here");
        assert_eq!(
            taken[Notices::KEPT + 1].message,
            "800 more notices not shown"
        );
        assert_eq!(notices.take(), []);
    }
}
