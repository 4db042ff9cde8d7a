//! Owns what surrounds a dump: facts of the database and its server that `pg_dump` leaves out and a restore needs.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::archive::Server;
use crate::catalog::Scope;
use crate::catalog::read;
use crate::pg::session::Session;

/// What belongs to the database itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DatabaseProperties {
    /// Whose it is.
    pub owner: String,
    /// Such as `UTF8`.
    pub encoding: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// Who collates: `c` the C library, `i` ICU, `b` PostgreSQL itself; absent before 15.
    pub provider: Option<String>,
    /// The locale of ICU or of PostgreSQL itself.
    pub locale: Option<String>,
    /// How many may connect; -1 for any number.
    pub connection_limit: i64,
    /// Its comment.
    pub comment: Option<String>,
    /// Bytes on the server.
    pub bytes: u64,
    /// Privileges on it, but for the owner's.
    pub grants: Vec<Grant>,
    /// `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
    pub settings: Vec<Setting>,
    /// Extensions and their versions.
    pub extensions: Vec<Extension>,
    /// The roles it leans on and their kin.
    pub roles: Vec<Role>,
    /// Who is a member of what among them.
    pub memberships: Vec<Membership>,
}

/// A privilege on the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grant {
    /// Who has it; empty for everybody.
    pub grantee: String,
    /// Such as `CONNECT`.
    pub privilege: String,
    /// Whether it may be passed on.
    pub grantable: bool,
}

/// A setting kept in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Whose; empty for everybody's.
    pub role: String,
    /// The setting's name.
    pub name: String,
    /// Its value as stored.
    pub value: String,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A role, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Role {
    /// Its name.
    pub name: String,
    /// `SUPERUSER`.
    pub superuser: bool,
    /// `INHERIT`.
    pub inherit: bool,
    /// `CREATEROLE`.
    pub create_role: bool,
    /// `CREATEDB`.
    pub create_database: bool,
    /// `LOGIN`.
    pub login: bool,
    /// `REPLICATION`.
    pub replication: bool,
    /// `BYPASSRLS`.
    pub bypass_rls: bool,
    /// `CONNECTION LIMIT`.
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
    /// Who is in it.
    pub member: String,
    /// Whether the member may admit others.
    pub admin: bool,
}

/// What decides how the server prints values; a restored copy is read under the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rendering {
    /// `bytea_output`.
    pub bytea_output: String,
    /// `xmlbinary`.
    pub xmlbinary: String,
    /// `lc_monetary`.
    pub lc_monetary: String,
}

/// Reads what belongs to the database.
pub async fn database(session: &Session) -> Result<DatabaseProperties> {
    let row = session
        .query_one(include_str!("queries/database.sql"), &[])
        .await
        .context("reading what belongs to the database")?;
    serde_json::from_value(row.get(0)).context("reading what belongs to the database")
}

/// Reads which server this is, where its log stands, and how it prints values.
pub async fn server(session: &Session) -> Result<(Server, Rendering)> {
    let row = session
        .query_one(include_str!("queries/server.sql"), &[])
        .await
        .context("asking the server what it is")?;
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
            .context("asking the server for its identity")?;
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

/// Gives the fingerprint of everything that lies in a schema of the user's.
pub async fn fingerprint(session: &Session) -> Result<String> {
    let scope = Scope {
        global: false,
        ..Scope::whole()
    };
    let catalog = read::read(session, &scope).await?;
    Ok(catalog.fingerprint())
}
