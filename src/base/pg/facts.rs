//! Owns what a session knows of its server from the first question on: version, role, rights, platform.

use anyhow::Result;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::{Failure, fail};
use crate::pg::session::Session;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

/// The oldest server understood, as `server_version_num` counts.
pub const OLDEST: i32 = 140_000;

/// Our own settings of every session, whatever role, database or server say.
///
/// They are set, not given at startup, so that no pooler refuses them and `RESET` brings back what the role is used to.
/// `TimeZone` is pinned because the same file must do the same everywhere: converting `timestamp` to `timestamptz`
/// gives other values, and rewrites the table, under any zone but UTC. `search_path` is not: what people wrote runs
/// on the same session and means the role's own path; our own questions qualify every name.
pub const PINS: &[(&str, &str)] = &[
    // A client that dies must not leave its statement running.
    ("client_connection_check_interval", "500ms"),
    // A person who thinks before confirming must not find the session gone.
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

/// Our own time limits of every session: what we ask and record is not subject to those meant for a service's queries.
const OWN_TIME: [(&str, &str); 2] = [
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// Takes the time limits off what is ours, until a file runs on the session, or until the end of the transaction.
///
/// A limit on waiting for locks stays, but is never shorter than ten seconds. `transaction_timeout`, which came with
/// PostgreSQL 17, only matters within a transaction.
pub fn own_time(local: bool) -> Sql {
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
        &[&Sql::join(OWN_TIME.iter().map(set), ", "), &until],
    );
    if local {
        sql.push(
            ", CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL \
             THEN pg_catalog.set_config('transaction_timeout', '0', true) END",
        );
    }
    sql
}

/// Sets our own settings again, after `RESET ALL` took them.
pub fn pins() -> Sql {
    let set = |(name, value): &(&str, &str)| {
        Sql::fill(
            "pg_catalog.set_config({}, {}, false)",
            &[&Literal::new(*name), &Literal::new(*value)],
        )
    };
    Sql::fill("SELECT {}", &[&Sql::join(PINS.iter().map(set), ", ")])
}

/// Who runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Nobody we know of.
    Plain,
    /// Supabase, hosted or not.
    Supabase,
    /// Amazon RDS or Aurora.
    Rds,
    /// Google Cloud SQL or AlloyDB.
    CloudSql,
    /// Azure Database.
    Azure,
    /// Neon.
    Neon,
}

/// What the first question of a session tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The process id that the handshake promised.
    pub handshake_pid: i32,
    /// The process id that answered; another one means that a proxy stands in between.
    pub backend_pid: i32,
    /// The version, as `server_version_num` counts.
    pub version_num: i32,
    /// The version in words.
    pub version: String,
    /// The database.
    pub database: String,
    /// Its oid.
    pub database_oid: u32,
    /// Its encoding.
    pub encoding: String,
    /// The role whose rights count.
    pub role: String,
    /// The role that logged in.
    pub session_role: String,
    /// Whether the role is a superuser.
    pub superuser: bool,
    /// Whether the role may create databases.
    pub create_database: bool,
    /// Whether the role may create roles.
    pub create_role: bool,
    /// Whether row-level security does not apply to the role.
    pub bypass_rls: bool,
    /// Whether the role sees what other sessions do.
    pub reads_all_stats: bool,
    /// Whether the role may end other sessions.
    pub signals_backends: bool,
    /// Whether the role may create schemas in the database.
    pub creates_schemas: bool,
    /// Whether the server is a replica.
    pub in_recovery: bool,
    /// Whether transactions may not write.
    pub read_only: bool,
    /// The role's `search_path`.
    pub search_path: String,
    /// The role's own time zone, from before ours.
    pub time_zone: String,
    /// The role's `statement_timeout`.
    pub statement_timeout: String,
    /// The role's `lock_timeout`.
    pub lock_timeout: String,
    /// The server's `deadlock_timeout`.
    pub deadlock_timeout: String,
    /// How many sessions the server takes.
    pub max_connections: i32,
    /// How many locks the server holds at once.
    pub locks: i64,
    /// Who runs the server.
    pub platform: Platform,
    /// What tells one cluster from another, where the role may read it.
    pub system_identifier: Option<i64>,
    /// Whether the role may read `af_db.protection`; absent where there is no such table.
    pub reads_protection: Option<bool>,
    /// Whether our own settings hold from the first question on.
    pub pinned: bool,
}

/// What tells one database from every other one, whatever address it is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The system identifier of its cluster.
    pub cluster: i64,
    /// Its oid there.
    pub database: u32,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.cluster, self.database)
    }
}

impl Identity {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        // A system identifier is printed with a sign of its own where it does not fit.
        let (cluster, database) = text.rsplit_once('-')?;
        Some(Identity {
            cluster: cluster.parse().ok()?,
            database: database.parse().ok()?,
        })
    }
}

impl Facts {
    /// Gives the identity of the database, where the role may read the cluster's.
    pub fn identity(&self) -> Option<Identity> {
        Some(Identity {
            cluster: self.system_identifier?,
            database: self.database_oid,
        })
    }

    /// Says whether a pooler or another proxy stands between us and the server.
    pub fn is_proxied(&self) -> bool {
        self.handshake_pid != self.backend_pid
    }

    /// Gives the major version.
    pub fn major(&self) -> i32 {
        self.version_num / 10_000
    }
}

/// Asks a fresh session the one identity question, in one round trip.
pub(super) async fn read(session: &Session, handshake_pid: i32) -> Result<Facts> {
    let answer = ask(session, handshake_pid, PINS).await;
    // A server that cannot watch its sockets refuses the first of the settings; the others matter more.
    if let Err(error) = &answer
        && error
            .downcast_ref::<super::server_error::ServerError>()
            .is_some_and(|error| error.is("22023"))
    {
        return ask(session, handshake_pid, &PINS[1..]).await;
    }
    // The role's own limit is too short for this question; a transaction keeps a pooler from passing on what is set.
    if let Err(error) = &answer
        && error
            .downcast_ref::<super::server_error::ServerError>()
            .is_some_and(|error| error.is("57014"))
    {
        session
            .run(&Sql::new("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"))
            .await?;
        let answer = ask(session, handshake_pid, PINS).await?;
        session.run(&Sql::new("COMMIT")).await?;
        return Ok(answer);
    }
    answer
}

async fn ask(session: &Session, handshake_pid: i32, pins: &[(&str, &str)]) -> Result<Facts> {
    let (names, values): (Vec<&str>, Vec<&str>) = pins.iter().copied().chain(OWN_TIME).unzip();
    let params = [
        (&handshake_pid as _, Type::INT4),
        (&names as _, Type::TEXT_ARRAY),
        (&values as _, Type::TEXT_ARRAY),
    ];
    // Sent together: a server that does not allow the second question still answers the first.
    let (identity, system) = futures_util::future::join(
        session.query_one(include_str!("queries/identity.sql"), &params),
        session.query_one(include_str!("queries/system_identifier.sql"), &[]),
    )
    .await;
    let system_identifier = system.ok().map(|row| row.get(0));
    Ok(facts(&identity?, handshake_pid, system_identifier))
}

/// Sets our own settings where the first question could not; only for a session that keeps its server process.
pub(super) async fn pin(session: &Session) -> Result<()> {
    let (names, values): (Vec<&str>, Vec<&str>) = PINS.iter().copied().chain(OWN_TIME).unzip();
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

fn facts(row: &Row, handshake_pid: i32, system_identifier: Option<i64>) -> Facts {
    Facts {
        handshake_pid,
        backend_pid: row.get("backend_pid"),
        version_num: row.get("version_num"),
        version: row.get("version"),
        database: row.get("database"),
        database_oid: row.get("database_oid"),
        encoding: row.get("encoding"),
        role: row.get("role"),
        session_role: row.get("session_role"),
        superuser: row.get("superuser"),
        create_database: row.get("create_database"),
        create_role: row.get("create_role"),
        bypass_rls: row.get("bypass_rls"),
        reads_all_stats: row.get("reads_all_stats"),
        signals_backends: row.get("signals_backends"),
        creates_schemas: row.get("creates_schemas"),
        in_recovery: row.get("in_recovery"),
        read_only: row.get("read_only"),
        search_path: row.get("search_path"),
        time_zone: row.get("time_zone"),
        statement_timeout: row.get("statement_timeout"),
        lock_timeout: row.get("lock_timeout"),
        deadlock_timeout: row.get("deadlock_timeout"),
        max_connections: row.get("max_connections"),
        locks: row.get("locks"),
        platform: platform(&row.get::<_, Vec<String>>("platform_roles")),
        system_identifier,
        reads_protection: row.get("reads_protection"),
        pinned: row.get::<_, i64>("pinned") > 0,
    }
}

fn platform(roles: &[String]) -> Platform {
    let known = [
        ("supabase_admin", Platform::Supabase),
        ("neon_superuser", Platform::Neon),
        ("rds_superuser", Platform::Rds),
        ("cloudsqlsuperuser", Platform::CloudSql),
        ("azure_pg_admin", Platform::Azure),
    ];
    known
        .iter()
        .find(|(role, _)| roles.iter().any(|found| found == role))
        .map_or(Platform::Plain, |(_, platform)| *platform)
}

/// Refuses a server that is too old, by the version the handshake gives.
pub(super) fn refuse_old(version: &str) -> Result<(), Failure> {
    let leading = |part: &str| {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..digits].parse::<i32>().ok()
    };
    match leading(version) {
        Some(major) if major < OLDEST / 10_000 => Err(fail(format!(
            "the server is PostgreSQL {version}, older than the oldest one understood, {}",
            OLDEST / 10_000
        ))
        .hint("upgrade the server: PostgreSQL ends the support of a version five years after its release")),
        _ => Ok(()),
    }
}

/// Refuses a server that cannot write; for commands that must.
pub fn refuse_replica(facts: &Facts) -> Result<(), Failure> {
    if facts.in_recovery {
        return Err(fail(format!(
            "the server of `{}` is a replica and cannot be written to; nothing was done",
            facts.database
        ))
        .hint("connect to the primary, or list all servers in the address with target_session_attrs=primary"));
    }
    if facts.read_only {
        return Err(fail(format!(
            "sessions of `{}` on `{}` are read-only; nothing was done",
            facts.role, facts.database
        ))
        .hint("set default_transaction_read_only = off for the role or the database, or connect as another role"));
    }
    Ok(())
}

/// Gives the size of the database in bytes.
///
/// Not part of the first question: the server looks at every file of the database for it.
pub async fn database_size(session: &Session) -> Result<i64> {
    let row = session
        .query_one(
            "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())",
            &[],
        )
        .await?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_by_their_handshake() {
        for version in ["9.6.24", "13.14 (Debian 13.14-1)", "10beta2"] {
            assert!(refuse_old(version).is_err(), "{version}");
        }
        // A proxy may say anything; what cannot be read is asked again in the first question.
        for version in [
            "14.0",
            "15.18 (Debian 15.18-0+deb12u1)",
            "18beta1",
            "19devel",
            "pgcat",
        ] {
            assert!(refuse_old(version).is_ok(), "{version}");
        }
    }
}
