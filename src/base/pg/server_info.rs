//! What a session knows of its server: version, role, rights, platform.

use tokio_postgres::Row;

use crate::error::{Failure, fail};

/// The oldest server understood, as `server_version_num` counts.
pub const OLDEST: i32 = 140_000;

/// How connections are shared on the way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// Not at all: the session is a server process.
    Direct,
    /// A session keeps its server process until it ends.
    Session,
    /// Every transaction may get another server process.
    Transaction,
    /// Every statement may get another server process.
    Statement,
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
    Neon,
}

/// What the first question of a session tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The process id that the handshake promised.
    pub handshake_pid: i32,
    /// The process id that answered; another one means that a proxy stands in between.
    pub backend_pid: i32,
    /// The version, as `server_version_num` counts.
    pub version_num: i32,
    /// The version in words.
    pub version: String,
    pub database: String,
    pub database_oid: u32,
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
pub struct DatabaseIdentity {
    /// The system identifier of its cluster.
    pub cluster: i64,
    /// Its oid there.
    pub database: u32,
}

impl std::fmt::Display for DatabaseIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.cluster, self.database)
    }
}

impl DatabaseIdentity {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        // A system identifier is printed with a sign of its own where it does not fit.
        let (cluster, database) = text.rsplit_once('-')?;
        Some(DatabaseIdentity {
            cluster: cluster.parse().ok()?,
            database: database.parse().ok()?,
        })
    }
}

impl ServerInfo {
    /// Returns the identity of the database, where the role may read the cluster's.
    pub fn identity(&self) -> Option<DatabaseIdentity> {
        Some(DatabaseIdentity {
            cluster: self.system_identifier?,
            database: self.database_oid,
        })
    }

    /// Returns whether a pooler or another proxy stands between us and the server.
    pub fn is_proxied(&self) -> bool {
        self.handshake_pid != self.backend_pid
    }

    /// Returns the major version.
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
pub fn refuse_replica(facts: &ServerInfo) -> Result<(), Failure> {
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
