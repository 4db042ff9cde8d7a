//! Properties of a database and its server that a restore needs and `pg_dump` omits.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::archive::Server;
use crate::catalog::Scope;
use crate::catalog::read;
use crate::pg::session::Session;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DatabaseProperties {
    pub owner: String,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// Who collates: `c` the C library, `i` ICU, `b` PostgreSQL itself; absent before 15.
    pub provider: Option<String>,
    /// The locale of ICU or of PostgreSQL itself.
    pub locale: Option<String>,
    /// -1 for no limit.
    pub connection_limit: i64,
    pub comment: Option<String>,
    pub bytes: u64,
    /// Privileges on it, but for the owner's.
    pub grants: Vec<Grant>,
    /// `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
    pub settings: Vec<Setting>,
    pub extensions: Vec<Extension>,
    /// The roles it references, with the roles they are members of.
    pub roles: Vec<Role>,
    pub memberships: Vec<Membership>,
}

/// A privilege on the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grant {
    /// Empty for `PUBLIC`.
    pub grantee: String,
    pub privilege: String,
    /// `WITH GRANT OPTION`.
    pub grantable: bool,
}

/// A setting kept in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Empty for all roles.
    pub role: String,
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Extension {
    pub name: String,
    pub version: String,
}

/// A role, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Role {
    pub name: String,
    pub superuser: bool,
    pub inherit: bool,
    pub create_role: bool,
    pub create_database: bool,
    pub login: bool,
    pub replication: bool,
    pub bypass_rls: bool,
    pub connection_limit: i64,
    /// `ALTER ROLE … SET`.
    pub settings: Vec<Setting>,
}

/// One role's membership in another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Membership {
    /// The group.
    pub role: String,
    pub member: String,
    /// `WITH ADMIN OPTION`.
    pub admin: bool,
}

/// What decides how the server prints values; a restored copy is read under the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rendering {
    pub bytea_output: String,
    pub xmlbinary: String,
    pub lc_monetary: String,
}

pub async fn database(session: &Session) -> Result<DatabaseProperties> {
    let row = session
        .query_one(include_str!("queries/database.sql"), &[])
        .await
        .context("reading the database's properties")?;
    serde_json::from_value(row.get(0)).context("reading the database's properties")
}

/// Reads the server's identity, its WAL position and how it prints values.
pub async fn server(session: &Session) -> Result<(Server, Rendering)> {
    let row = session
        .query_one(include_str!("queries/server.sql"), &[])
        .await
        .context("reading the server's version and settings")?;
    let mut server = Server {
        version_num: row.get::<_, i32>("version_num").unsigned_abs(),
        lsn: row.get("lsn"),
        database_oid: Some(session.server_info().database_oid),
        ..Server::default()
    };
    if row.get::<_, bool>("control") {
        let control = session
            .query_one(include_str!("queries/control.sql"), &[])
            .await
            .context("reading the system identifier")?;
        server.system_identifier = control.get("system_identifier");
        server.timeline = Some(control.get::<_, i32>("timeline").unsigned_abs());
    }
    let rendering = Rendering {
        bytea_output: row.get("bytea_output"),
        xmlbinary: row.get("xmlbinary"),
        lc_monetary: row.get("lc_monetary"),
    };
    Ok((server, rendering))
}

/// Returns the fingerprint of all user schemas.
pub async fn fingerprint(session: &Session) -> Result<String> {
    let scope = Scope {
        global: false,
        ..Scope::whole()
    };
    let catalog = read::read(session, &scope).await?;
    Ok(catalog.fingerprint())
}
