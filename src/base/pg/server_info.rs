//! What a session knows of its server: version, role, rights, platform.

use tokio_postgres::Row;

use crate::error::{Failure, fail};

/// The oldest supported version, as in `server_version_num`.
pub const OLDEST: i32 = 140_000;

/// How a pooler shares server processes between connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// No pooler: the session is a server process.
    Direct,
    /// A session keeps its server process until it ends.
    Session,
    /// Every transaction may get another server process.
    Transaction,
    /// Every statement may get another server process.
    Statement,
}

/// The provider that runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// An unknown provider, or self-hosted.
    Plain,
    /// Supabase, hosted or not.
    Supabase,
    /// Amazon RDS or Aurora.
    Rds,
    /// Google Cloud SQL or AlloyDB.
    CloudSql,
    /// Azure Database.
    Azure,
    Neon,
}

/// Read when a session is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The process id sent in the handshake.
    pub handshake_pid: i32,
    /// The process id that answered queries; a different one means that there is a proxy.
    pub backend_pid: i32,
    /// As in `server_version_num`.
    pub version_num: i32,
    /// As printed by the server.
    pub version: String,
    pub database: String,
    pub database_oid: u32,
    pub encoding: String,
    /// The current role.
    pub role: String,
    /// The role that logged in.
    pub session_role: String,
    pub superuser: bool,
    pub create_database: bool,
    pub create_role: bool,
    pub bypass_rls: bool,
    /// Whether the role sees the activity of other sessions.
    pub reads_all_stats: bool,
    /// Whether the role may terminate other sessions.
    pub signals_backends: bool,
    /// Whether the role may create schemas in the database.
    pub creates_schemas: bool,
    /// Whether the server is a replica.
    pub in_recovery: bool,
    /// Whether transactions are read-only by default.
    pub read_only: bool,
    /// The role's own value.
    pub search_path: String,
    /// The role's own value, before our setting.
    pub time_zone: String,
    /// The role's own value.
    pub statement_timeout: String,
    /// The role's own value.
    pub lock_timeout: String,
    pub deadlock_timeout: String,
    pub max_connections: i32,
    /// The size of the server's lock table.
    pub locks: i64,
    pub platform: Platform,
    /// Identifies the cluster; absent without the privilege to read it.
    pub system_identifier: Option<i64>,
    /// Whether the role may read `af_db.protection`; absent without such a table.
    pub reads_protection: Option<bool>,
    /// Whether our own settings were applied by the first query.
    pub pinned: bool,
}

/// Identifies a database independently of its connection URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatabaseIdentity {
    /// The system identifier.
    pub cluster: i64,
    /// The database's oid.
    pub database: u32,
}

impl std::fmt::Display for DatabaseIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.cluster, self.database)
    }
}

impl DatabaseIdentity {
    /// Parses the output of `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        // A system identifier is printed as a negative number where it exceeds the signed range.
        let (cluster, database) = text.rsplit_once('-')?;
        Some(DatabaseIdentity {
            cluster: cluster.parse().ok()?,
            database: database.parse().ok()?,
        })
    }
}

impl ServerInfo {
    /// Absent without the privilege to read the cluster's identifier.
    pub fn identity(&self) -> Option<DatabaseIdentity> {
        Some(DatabaseIdentity {
            cluster: self.system_identifier?,
            database: self.database_oid,
        })
    }

    /// Returns whether there is a pooler or another proxy between us and the server.
    pub fn is_proxied(&self) -> bool {
        self.handshake_pid != self.backend_pid
    }

    pub fn major(&self) -> i32 {
        self.version_num / 10_000
    }

    pub(super) fn from_row(row: &Row, handshake_pid: i32, system_identifier: Option<i64>) -> Self {
        ServerInfo {
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

/// Fails on a version that is too old, given as in the handshake.
pub(super) fn refuse_old(version: &str) -> Result<(), Failure> {
    let leading = |part: &str| {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..digits].parse::<i32>().ok()
    };
    match leading(version) {
        Some(major) if major < OLDEST / 10_000 => Err(fail(format!(
            "PostgreSQL {version} is not supported; the oldest supported version is {}",
            OLDEST / 10_000
        ))
        .hint("upgrade the server")),
        _ => Ok(()),
    }
}

/// Fails on a server that cannot be written to; for commands that must.
pub fn refuse_replica(info: &ServerInfo) -> Result<(), Failure> {
    if info.in_recovery {
        return Err(fail(format!(
            "the server of `{}` is a read-only replica; nothing was changed",
            info.database
        ))
        .hint("connect to the primary, or list all servers in the connection URL with target_session_attrs=primary"));
    }
    if info.read_only {
        return Err(fail(format!(
            "sessions of `{}` on `{}` are read-only; nothing was changed",
            info.role, info.database
        ))
        .hint(
            "set default_transaction_read_only = off for the role or database, or use another role",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused_by_their_handshake() {
        for version in ["9.6.24", "13.14 (Debian 13.14-1)", "10beta2"] {
            assert!(refuse_old(version).is_err(), "{version}");
        }
        // A proxy may send any version; what cannot be parsed is checked again in the first query.
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
