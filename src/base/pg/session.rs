//! Owns one connection and everything that is sent over it; the only file that sends SQL.
//!
//! Statements of ours are static text with parameters, in one round trip each (unnamed statements with known
//! types, so that nothing is left behind in a pooler). Everything assembled arrives as a [`Sql`].

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

/// The rows of an answer, as they come.
pub struct Rows<'a> {
    stream: Pin<Box<RowStream>>,
    session: &'a Session,
}

impl Rows<'_> {
    /// Returns the next row; nothing after the last.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        let row = self.stream.next().await.transpose();
        Ok(row.map_err(|error| self.session.error(error))?)
    }
}

/// What the server said beside its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// WARNING is a warning, everything else a note.
    pub severity: Severity,
    /// The server's words.
    pub message: String,
    pub sqlstate: String,
}

/// What the server has said since somebody last asked; of a flood the beginning is kept and the rest is counted.
#[derive(Debug, Default)]
struct Notices {
    kept: VecDeque<Notice>,
    /// How many more notes and warnings there were.
    more: [usize; 2],
}

impl Notices {
    /// How many notes, and how many warnings, are kept.
    const KEPT: usize = 200;
    /// How much of each is kept, in bytes.
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
    // Filled by the task that drives the socket, emptied by whoever ran the statement.
    notices: Arc<Mutex<Notices>>,
    // What the server said when it hung up; told by the driving task to the next one who asks.
    close_reason: Arc<OnceLock<ServerError>>,
    driver: tokio::task::JoinHandle<()>,
    endpoint: Endpoint,
    info: OnceLock<ServerInfo>,
    /// What keeps SQL that is only tried here from reaching out of the server.
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

    /// Returns what the session knows of its server.
    pub fn server_info(&self) -> &ServerInfo {
        self.info
            .get()
            .expect("a session is handed out only with its server info")
    }

    /// Returns how the connection is pooled, where that is known already; `pooler::mode` finds it out.
    pub fn pooling(&self) -> Option<PoolMode> {
        self.pooling.get().copied()
    }

    pub(super) fn learn_pooling(&self, mode: PoolMode) {
        self.pooling.get_or_init(|| mode);
    }

    /// Has names without a schema lead into these schemas first, on a session that keeps its server process.
    pub async fn set_search_path(&mut self, path: &Sql) -> Result<()> {
        self.run(&Sql::fill("SET search_path TO {}", &[path]))
            .await?;
        if let Some(info) = self.info.get_mut() {
            path.as_str().clone_into(&mut info.search_path);
        }
        Ok(())
    }

    /// Puts an error into words; of a connection that ended, with the server's reason.
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

    /// Puts an error about assembled text into words, without the secrets of that text.
    fn error_about(&self, error: tokio_postgres::Error, sql: &Sql) -> ServerError {
        self.error(error).about(sql.as_str())
    }

    /// Asks one of our own questions, in one round trip.
    ///
    /// Calls made without awaiting in between (`futures_util::future::join`) are pipelined.
    pub async fn query(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        Ok(self
            .client
            .query_typed(sql, params)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Asks one of our own questions and gives the rows as they come, which may be many.
    ///
    /// Pipelined as [`Session::query`] is; of several answers each must be taken to its end before the next one comes.
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

    /// Has the server read one of our own questions once, to be asked again and again by [`Session::query_prepared`].
    ///
    /// Only for servers of our own: a pooler may give the question to one backend and the next asking to another.
    pub async fn prepare(&self, sql: &'static str, types: &[Type]) -> Result<Statement> {
        Ok(self
            .client
            .prepare_typed(sql, types)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Asks a question that the server knows.
    pub async fn query_prepared(&self, kept: &Statement, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let values: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
        Ok(self
            .client
            .query(kept, &values)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Asks a question that the server knows and gives the rows as they come, as [`Session::stream`] does.
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

    /// Runs one of our own statements and gives the number of rows touched.
    pub async fn execute(&self, sql: &'static str, params: &[Param<'_>]) -> Result<u64> {
        Ok(self
            .client
            .execute_typed(sql, params)
            .await
            .map_err(|error| self.error(error))?)
    }

    /// Asks an assembled question with parameters, in one round trip.
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

    /// Runs assembled text, several statements if need be, in one message and one round trip.
    ///
    /// The server treats several statements in one message as one transaction unless they say otherwise.
    pub async fn run(&self, sql: &Sql) -> Result<()> {
        Ok(self
            .client
            .batch_execute(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Ends a transaction of ours that failed, if it had begun at all: text that cannot be parsed begins none.
    ///
    /// What failed before is the one to tell. Rolling back fails only when the connection is gone, and then the server
    /// does it by itself; that there was nothing to roll back is no news either.
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

    /// Runs assembled text and tells how many of its statements have ended; an error comes with that number.
    pub async fn run_counting(
        &self,
        sql: &Sql,
        told: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), (usize, ServerError)> {
        let mut finished = 0;
        let stream = self.client.simple_query_raw(sql.as_str()).await;
        let mut stream = std::pin::pin!(stream.map_err(|error| (0, self.error_about(error, sql)))?);
        while let Some(message) = stream.next().await {
            if let SimpleQueryMessage::CommandComplete(_) =
                message.map_err(|error| (finished, self.error_about(error, sql)))?
            {
                finished += 1;
                told(finished);
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

    /// Runs assembled text and gives every row and completion as text.
    pub async fn simple_query(&self, sql: &Sql) -> Result<Vec<SimpleQueryMessage>> {
        Ok(self
            .client
            .simple_query(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Begins a `COPY … TO STDOUT`.
    pub async fn copy_out(&self, sql: &Sql) -> Result<CopyOutStream> {
        Ok(self
            .client
            .copy_out(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Begins a `COPY … FROM STDIN`.
    pub async fn copy_in(&self, sql: &Sql) -> Result<CopyInSink<bytes::Bytes>> {
        Ok(self
            .client
            .copy_in(sql.as_str())
            .await
            .map_err(|error| self.error_about(error, sql))?)
    }

    /// Takes what the server has said beside its answers since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Returns what keeps SQL that is only tried here from reaching out of the server.
    pub fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Returns what cancels the running statement from another connection.
    pub fn canceller(&self) -> Canceller {
        Canceller::new(self.client.cancel_token(), self.endpoint.clone())
    }

    /// Returns whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Says goodbye and waits until everything was sent.
    pub async fn close(self) {
        let Session { client, driver, .. } = self;
        drop(client);
        // The driving task ends by itself once the client is gone; a network that is gone must not hold us.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, driver).await;
    }
}

/// How long saying goodbye may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Drives the socket until the client or the server goes, and keeps what the server says beside its answers.
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
            // The parsed one: the other is in the server's language.
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
    fn a_flood_of_notices_is_counted_and_not_kept() {
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
