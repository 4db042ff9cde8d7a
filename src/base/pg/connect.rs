//! Opens sessions: tries hosts and encryption modes, and retries while the server is not ready.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::config::{ChannelBinding, SslMode as DriverMode, SslNegotiation};

use crate::error::{Failure, fail};
use crate::event::{Event, Watch};
use crate::pg::cancel::Endpoint;
use crate::pg::server_error::ServerError;
use crate::pg::server_info::ServerInfo;
use crate::pg::session::Session;
use crate::pg::session_setup;
use crate::pg::target::{Host, SessionAttrs, SslMode, Target};
use crate::pg::tls::{self, Reason};

/// Connection timeout of one server, unless the connection URL sets `connect_timeout`.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to retry a connection that may still succeed.
#[derive(Clone, Copy, Debug)]
pub struct RetryLimits {
    /// While nothing listens, or the connection is closed without a message.
    pub while_refused: Duration,
    /// While the server reports that it is starting up or shutting down.
    pub while_starting: Duration,
}

impl RetryLimits {
    /// For commands: the server may just be starting, or recovering from a crash.
    pub const USUAL: RetryLimits = RetryLimits {
        while_refused: Duration::from_secs(3),
        while_starting: Duration::from_secs(60),
    };

    /// A single attempt.
    pub const ONCE: RetryLimits = RetryLimits {
        while_refused: Duration::ZERO,
        while_starting: Duration::ZERO,
    };
}

/// Connects to a database with the usual retries.
pub async fn open(target: &Target, watch: Watch<'_>) -> Result<Session> {
    open_with(target, &RetryLimits::USUAL, watch).await
}

pub async fn open_with(
    target: &Target,
    options: &RetryLimits,
    watch: Watch<'_>,
) -> Result<Session> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    let mut reported = None;
    loop {
        let failed = match first_matching_host(target).await {
            Ok(mut session) => {
                session.confinement = target.confinement.clone();
                return Ok(session);
            }
            Err(failed) => failed,
        };
        let (patience, reason) = match failed.again {
            Retry::Never => return Err(failed.error),
            Retry::Refused => (options.while_refused, "the server is not answering yet"),
            Retry::Starting => (
                options.while_starting,
                "the server is starting up or shutting down",
            ),
        };
        if started.elapsed() + pause > patience {
            return Err(failed.error);
        }
        if reported != Some(failed.again) {
            reported = Some(failed.again);
            let seconds = patience.as_secs();
            watch(Event::Info(&format!(
                "waiting up to {seconds} s for `{target}`: {reason}"
            )));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// Why an attempt failed, and whether to retry.
struct FailedAttempt {
    again: Retry,
    error: anyhow::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Never,
    Refused,
    Starting,
}

impl From<anyhow::Error> for FailedAttempt {
    fn from(error: anyhow::Error) -> Self {
        FailedAttempt {
            again: Retry::Never,
            error,
        }
    }
}

/// Tries the hosts in turn until one accepts the connection and matches `target_session_attrs`.
async fn first_matching_host(target: &Target) -> Result<Session, FailedAttempt> {
    let mut failures = Vec::new();
    let mut second_best = None;
    for host in &target.hosts {
        match connect_to_host(target, host).await {
            Ok(session) if matches_attrs(target.session_attrs, session.server_info()) => {
                return Ok(session);
            }
            Ok(session) if target.session_attrs == SessionAttrs::PreferStandby => {
                second_best.get_or_insert(session);
            }
            Ok(session) => failures
                .push(attrs_mismatch(target.session_attrs, host, session.server_info()).into()),
            Err(failed) => failures.push(failed),
        }
    }
    second_best.ok_or_else(|| combine(failures))
}

fn matches_attrs(attrs: SessionAttrs, info: &ServerInfo) -> bool {
    match attrs {
        SessionAttrs::Any => true,
        SessionAttrs::ReadWrite => !info.in_recovery && !info.read_only,
        SessionAttrs::ReadOnly => info.in_recovery || info.read_only,
        SessionAttrs::Primary => !info.in_recovery,
        SessionAttrs::Standby | SessionAttrs::PreferStandby => info.in_recovery,
    }
}

fn attrs_mismatch(attrs: SessionAttrs, host: &Host, info: &ServerInfo) -> anyhow::Error {
    let is = match attrs {
        SessionAttrs::ReadOnly => "accepts writes",
        SessionAttrs::Standby => "is not a replica",
        _ if info.in_recovery => "is a replica",
        _ => "is read-only",
    };
    fail(format!(
        "the server at `{host}` {is}, which target_session_attrs excludes"
    ))
    .hint("add the other servers to the connection URL, or change target_session_attrs")
    .into()
}

/// Combines the failures of all servers; retried if any of them may be.
fn combine(mut failures: Vec<FailedAttempt>) -> FailedAttempt {
    if failures.len() == 1 {
        return failures.remove(0);
    }
    let again = failures
        .iter()
        .map(|failed| failed.again)
        .find(|again| *again != Retry::Never)
        .unwrap_or(Retry::Never);
    let lines: Vec<String> = failures
        .iter()
        .map(|failed| failed.error.to_string())
        .collect();
    let mut failure = fail(format!("none of the {} servers can be used", lines.len()));
    failure.hint = failures
        .last()
        .and_then(|failed| crate::error::hint_of(&failed.error))
        .map(str::to_owned);
    FailedAttempt {
        again,
        error: anyhow::anyhow!(lines.join("; ")).context(failure),
    }
}

/// Connects to one server, with the fallbacks that `allow` and `prefer` permit.
async fn connect_to_host(target: &Target, host: &Host) -> Result<Session, FailedAttempt> {
    let wanted = if host.is_socket() {
        // As in libpq: a Unix socket is never encrypted.
        SslMode::Disable
    } else {
        target.tls.mode
    };
    let (first, second) = match wanted {
        SslMode::Disable => (DriverMode::Disable, None),
        SslMode::Allow => (DriverMode::Disable, Some(DriverMode::Require)),
        SslMode::Prefer => (DriverMode::Prefer, Some(DriverMode::Disable)),
        _ => (DriverMode::Require, None),
    };
    match attempt(target, host, first).await {
        Ok(session) => Ok(session),
        Err(refusal) => match second.filter(|_| refusal.about_encryption()) {
            // Report the first failure: the second attempt was only a fallback.
            Some(mode) => attempt(target, host, mode)
                .await
                .map_err(|_| refusal.explain(target, host)),
            None => Err(refusal.explain(target, host)),
        },
    }
}

enum AttemptError {
    /// The connection timed out.
    Silence(Duration),
    /// The driver could not connect.
    Driver(tokio_postgres::Error),
    /// Anything after the handshake, or before the first byte.
    Other(anyhow::Error),
}

impl AttemptError {
    /// Returns whether another encryption mode may be accepted: pg_hba.conf or the handshake rejected this one.
    fn about_encryption(&self) -> bool {
        match self {
            AttemptError::Driver(error) => match error.as_db_error() {
                Some(error) => error.code().code() == "28000",
                None => is_tls(error),
            },
            _ => false,
        }
    }

    fn explain(self, target: &Target, host: &Host) -> FailedAttempt {
        let again = match &self {
            AttemptError::Driver(error) => again(error),
            _ => Retry::Never,
        };
        let error = match self {
            AttemptError::Silence(patience) => silence(host, patience).into(),
            AttemptError::Other(error) => error,
            AttemptError::Driver(error) => {
                let failure = explain(target, host, &error);
                anyhow::Error::from(ServerError::from(error)).context(failure)
            }
        };
        FailedAttempt { again, error }
    }
}

async fn attempt(target: &Target, host: &Host, mode: DriverMode) -> Result<Session, AttemptError> {
    let patience = target.connect_timeout.unwrap_or(PATIENCE);
    timeout(patience, connect(target, host, mode, patience))
        .await
        .unwrap_or(Err(AttemptError::Silence(patience)))
}

async fn connect(
    target: &Target,
    host: &Host,
    mode: DriverMode,
    patience: Duration,
) -> Result<Session, AttemptError> {
    let mut driver = driver(target, host);
    driver.ssl_mode(mode);
    // A name may have several addresses; the first must leave time for the second.
    driver.connect_timeout(patience / 2);
    let session = if mode == DriverMode::Disable {
        let (client, connection) = driver
            .connect(tokio_postgres::NoTls)
            .await
            .map_err(AttemptError::Driver)?;
        let endpoint = Endpoint {
            host: host.clone(),
            encryption: None,
        };
        session_setup::start(client, connection, endpoint).await
    } else {
        let encryption = tls::encryption(&target.tls).map_err(AttemptError::Other)?;
        let (client, connection) = driver
            .connect(encryption.clone())
            .await
            .map_err(AttemptError::Driver)?;
        let endpoint = Endpoint {
            host: host.clone(),
            encryption: Some(encryption),
        };
        session_setup::start(client, connection, endpoint).await
    };
    session.map_err(AttemptError::Other)
}

/// Configures the driver for one server.
fn driver(target: &Target, host: &Host) -> tokio_postgres::Config {
    let mut driver = tokio_postgres::Config::new();
    driver
        .host(&host.name)
        .port(host.port)
        .dbname(target.database());
    if let Some(address) = host.address {
        driver.hostaddr(address);
    }
    if let Some(user) = &target.user {
        driver.user(user);
    }
    if let Some(password) = target.password(host) {
        driver.password(password.reveal());
    }
    if let Some(options) = &target.options {
        driver.options(options);
    }
    driver.application_name(target.application_name.as_deref().unwrap_or("af-db"));
    if target.tls.direct {
        driver.ssl_negotiation(SslNegotiation::Direct);
    }
    driver.channel_binding(match target.channel_binding {
        Some(true) => ChannelBinding::Require,
        Some(false) => ChannelBinding::Disable,
        None => ChannelBinding::Prefer,
    });
    // Long statements are silent; a dead connection must be noticed within minutes, not hours.
    let keepalives = target.keepalives;
    let seconds = Duration::from_secs;
    driver
        .keepalives(!keepalives.off)
        .keepalives_idle(keepalives.idle.unwrap_or(seconds(30)))
        .keepalives_interval(keepalives.interval.unwrap_or(seconds(10)))
        .keepalives_retries(keepalives.count.unwrap_or(3))
        .tcp_user_timeout(keepalives.unacknowledged.unwrap_or(seconds(60)));
    driver
}

fn again(error: &tokio_postgres::Error) -> Retry {
    if let Some(error) = error.as_db_error() {
        return if error.code().code() == "57P03" {
            Retry::Starting
        } else {
            Retry::Never
        };
    }
    // A server recovering from a crash closes early connections without a message.
    if error.is_closed() {
        return Retry::Refused;
    }
    match io_kind(error) {
        // A socket that does not exist yet, a port on which nothing listens yet, a server killed half-way.
        Some(
            std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::NotFound,
        ) => Retry::Refused,
        _ => Retry::Never,
    }
}

fn is_tls(error: &tokio_postgres::Error) -> bool {
    error
        .to_string()
        .starts_with("error performing TLS handshake")
}

/// Returns whether the server closed the connection.
fn hung_up(error: &tokio_postgres::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(
        io_kind(error),
        Some(BrokenPipe | ConnectionReset | UnexpectedEof)
    ) || tls::reason(error) == Some(Reason::HungUp)
}

fn io_kind(error: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

fn silence(host: &Host, patience: Duration) -> Failure {
    fail(format!(
        "the server at `{host}` did not answer within {} s",
        patience.as_secs()
    ))
    .hint("check host, port and firewall; set connect_timeout=… in the connection URL for a longer timeout")
}

/// Explains why one server could not be connected to.
fn explain(target: &Target, host: &Host, error: &tokio_postgres::Error) -> Failure {
    use std::io::ErrorKind;

    if let Some(error) = error.as_db_error() {
        let failure = fail(format!(
            "cannot connect to database `{}` at `{host}`",
            target.database()
        ));
        return match ServerError::advice_for(error.code().code()) {
            Some(advice) => failure.hint(advice),
            None => failure,
        };
    }
    if is_tls(error) && target.tls.direct && hung_up(error) {
        return fail(format!(
            "the server at `{host}` closed the connection during direct TLS negotiation"
        ))
        .hint("PostgreSQL 16 and older do not support direct TLS; remove sslnegotiation=direct");
    }
    // A TLS 1.3 server checks the client certificate only after the handshake.
    if is_tls(error) || tls::reason(error) == Some(Reason::OursNotAccepted) {
        return tls::explain(&target.tls, host, error);
    }
    match io_kind(error) {
        Some(ErrorKind::ConnectionRefused) => fail(format!("nothing listens at `{host}`"))
            .hint("start the server, or correct the host and port"),
        Some(ErrorKind::NotFound) => fail(format!("no server socket at `{host}`"))
            .hint("start the server, or correct the socket's directory and the port"),
        Some(ErrorKind::PermissionDenied) => fail(format!("permission denied for the socket at `{host}`"))
            .hint("get access to the socket's directory, or connect over TCP"),
        Some(ErrorKind::TimedOut) => silence(host, target.connect_timeout.unwrap_or(PATIENCE)),
        Some(ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe) => {
            fail(format!("the server at `{host}` closed the connection during the handshake"))
                .hint("check the server's log; if a proxy is in between, check that it supports the PostgreSQL protocol")
        }
        _ if error_chain(error).contains("lookup") => {
            fail(format!("cannot resolve the host name `{}`", host.name))
                .hint("check the spelling and this machine's DNS")
        }
        _ if error_chain(error).contains("hannel binding") => {
            fail(format!("channel binding is not possible with `{host}`"))
                .hint("use sslmode=require or stronger, or remove channel_binding=require")
        }
        _ if error_chain(error).contains("password missing") => {
            fail(format!("the server at `{host}` requires a password, and none was given"))
                .hint("set PGPASSWORD or PGPASSFILE, or add the password to the connection URL")
        }
        _ => fail(format!("cannot connect to `{host}`"))
            .hint("check that a PostgreSQL server listens there"),
    }
}

fn error_chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
