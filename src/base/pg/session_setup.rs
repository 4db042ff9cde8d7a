//! Opens a session: reads server and role, and applies our own settings.

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Connection};

use crate::pg::cancel::Endpoint;
use crate::pg::handshake;
use crate::pg::server_error::ServerError;
use crate::pg::server_info::{self, ServerInfo};
use crate::pg::session::Session;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

/// Our own settings of every session, which override those of role, database and server.
///
/// They are set, not sent at startup, so that no pooler rejects them and `RESET` restores the role's own values.
/// `TimeZone` is pinned because the same file must have the same effect everywhere: converting `timestamp` to
/// `timestamptz` yields other values, and rewrites the table, under any zone but UTC. `search_path` is not pinned: users'
/// SQL runs on the same session and means the role's own path; our own queries qualify every name.
pub const SETTINGS: &[(&str, &str)] = &[
    // A client that dies must not leave its statement running.
    ("client_connection_check_interval", "500ms"),
    // A user who thinks before confirming must not lose the session.
    ("idle_session_timeout", "0"),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("quote_all_identifiers", "off"),
    ("standard_conforming_strings", "on"),
    ("default_transaction_isolation", "read committed"),
];

/// Our own time limits of every session: our queries and records are exempt from limits meant for a service's queries.
const TIME_LIMITS: [(&str, &str); 2] = [
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// Lifts the time limits for our own statements, until a file runs on the session, or until the end of the transaction.
///
/// `lock_timeout` stays, but is at least ten seconds. `transaction_timeout`, new in PostgreSQL 17, only matters within a
/// transaction.
pub fn lift_time_limits(local: bool) -> Sql {
    let until = Sql::new(if local { "true" } else { "false" });
    let set = |(name, value): &(&str, &str)| {
        Sql::fill(
            "pg_catalog.set_config({}, {}, {})",
            &[&Literal::new(*name), &Literal::new(*value), &until],
        )
    };
    let mut sql = Sql::fill(
        "SELECT {}, (SELECT pg_catalog.set_config(s.name, '10s', {}) FROM pg_catalog.pg_settings AS s \
         WHERE s.name OPERATOR(pg_catalog.=) 'lock_timeout' AND s.setting::pg_catalog.int8 BETWEEN 1 AND 9999)",
        &[&Sql::join(TIME_LIMITS.iter().map(set), ", "), &until],
    );
    if local {
        sql.push(
            ", CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL \
             THEN pg_catalog.set_config('transaction_timeout', '0', true) END",
        );
    }
    sql
}

/// Applies our own settings again, after `RESET ALL`.
pub fn reset_settings() -> Sql {
    let set = |(name, value): &(&str, &str)| {
        Sql::fill(
            "pg_catalog.set_config({}, {}, false)",
            &[&Literal::new(*name), &Literal::new(*value)],
        )
    };
    Sql::fill("SELECT {}", &[&Sql::join(SETTINGS.iter().map(set), ", ")])
}

/// Makes a session of a fresh connection, whose server must be recent enough.
pub(super) async fn start<S, T>(
    client: Client,
    connection: Connection<S, T>,
    endpoint: Endpoint,
) -> Result<Session>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    server_info::refuse_old(connection.parameter("server_version").unwrap_or_default())?;
    let handshake_pid = handshake::process_id(&client.cancel_token()).await?;
    let session = Session::start(client, connection, endpoint);
    let info = read_server_info(&session, handshake_pid).await?;
    server_info::refuse_old(&info.version)?;
    session.set_server_info(info);
    Ok(session)
}

/// Identifies server and role of a fresh session in one round trip.
async fn read_server_info(session: &Session, handshake_pid: i32) -> Result<ServerInfo> {
    let answer = query_server_info(session, handshake_pid, SETTINGS).await;
    // A server that cannot monitor its sockets rejects the first of the settings; the others matter more.
    if let Err(error) = &answer
        && error
            .downcast_ref::<ServerError>()
            .is_some_and(|error| error.is("22023"))
    {
        return query_server_info(session, handshake_pid, &SETTINGS[1..]).await;
    }
    // The role's own limit is too short for this query; a transaction keeps a pooler from passing on what is set.
    if let Err(error) = &answer
        && error
            .downcast_ref::<ServerError>()
            .is_some_and(|error| error.is("57014"))
    {
        session
            .run(&Sql::new("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"))
            .await?;
        let answer = query_server_info(session, handshake_pid, SETTINGS).await?;
        session.run(&Sql::new("COMMIT")).await?;
        return Ok(answer);
    }
    answer
}

async fn query_server_info(
    session: &Session,
    handshake_pid: i32,
    settings: &[(&str, &str)],
) -> Result<ServerInfo> {
    let (names, values): (Vec<&str>, Vec<&str>) =
        settings.iter().copied().chain(TIME_LIMITS).unzip();
    let params = [
        (&handshake_pid as _, Type::INT4),
        (&names as _, Type::TEXT_ARRAY),
        (&values as _, Type::TEXT_ARRAY),
    ];
    // Sent together: a server that denies the second query still answers the first.
    let (identity, system) = futures_util::future::join(
        session.query_one(include_str!("queries/identity.sql"), &params),
        session.query_one(include_str!("queries/system_identifier.sql"), &[]),
    )
    .await;
    let system_identifier = system.ok().map(|row| row.get(0));
    Ok(ServerInfo::from_row(
        &identity?,
        handshake_pid,
        system_identifier,
    ))
}

/// Applies our own settings where the first query could not; only for a session that keeps its server process.
pub(super) async fn apply_settings(session: &Session) -> Result<()> {
    let (names, values): (Vec<&str>, Vec<&str>) =
        SETTINGS.iter().copied().chain(TIME_LIMITS).unzip();
    session
        .query_one(
            include_str!("queries/pin.sql"),
            &[
                (&names as _, Type::TEXT_ARRAY),
                (&values as _, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(())
}
