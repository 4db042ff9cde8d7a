//! Owns deciding what a restore will make under which name, and refusing what cannot end well before anything is made.

use anyhow::Result;
use chrono::Utc;
use tokio_postgres::types::Type;

use crate::backup::archive::Archive;
use crate::backup::clients::{self, Clients};
use crate::backup::facts;
use crate::backup::mapping::Mapping;
use crate::backup::restore::{Admin, Options, Place, remains};
use crate::backup::surroundings;
use crate::backup::unpack::Unpacked;
use crate::error::refuse;
use crate::event::silent;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;

/// What will be made under which name.
pub(super) struct Plan {
    pub(super) clients: Clients,
    pub(super) major: u32,
    /// The name the archive is to have in the end.
    pub(super) name: String,
    /// The name it has until it is proven.
    pub(super) building: String,
    /// The name of what stands there now, once it made room.
    pub(super) kept_as: Option<String>,
    /// Whether what stands there is empty and need not be kept.
    pub(super) is_empty: bool,
    /// How many may connect once it is finished.
    pub(super) connection_limit: i64,
}

pub(super) async fn prepare(options: &Options, admin: &Admin, unpacked: &Unpacked) -> Result<Plan> {
    let session = &admin.session;
    let name = options.target.database().to_owned();
    let (server, _) = facts::server(session).await?;
    let major = server.version_num / 10_000;
    refuse_newer(&unpacked.archive, major)?;
    check_rights(session).await?;
    check_mapping(session, &options.mapping).await?;
    if !options.no_owner {
        check_owner(session, &unpacked.contents.proof.database.owner).await?;
    }
    if options.place == Place::Swap && name == "postgres" {
        check_platform(session).await?;
    }
    let clients = clients(options, &unpacked.archive, major).await?;
    let there = session
        .query(
            "SELECT FROM pg_catalog.pg_database AS d WHERE d.datname = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    let exists = !there.is_empty();
    let is_empty = exists && is_empty(&options.target).await?;
    if exists && !is_empty && options.place == Place::New {
        return Err(refuse(format!(
            "the database `{name}` is not empty, nothing was restored"
        ))
        .hint("name another with --into, or take its place with --swap; the old one is kept")
        .into());
    }
    let stamp = stamp();
    remains::sweep(session).await?;
    Ok(Plan {
        clients,
        major,
        building: suffixed(&name, &format!("_restoring_{stamp}")),
        kept_as: exists.then(|| suffixed(&name, &format!("_before_{stamp}"))),
        name,
        is_empty,
        connection_limit: unpacked.contents.proof.database.connection_limit,
    })
}

/// Refuses an archive of a newer server than the one it is for.
pub(super) fn refuse_newer(archive: &Archive, major: u32) -> Result<()> {
    let theirs = archive.major();
    if theirs <= major {
        return Ok(());
    }
    Err(refuse(format!(
        "the archive is of PostgreSQL {theirs}, this server is {major}; nothing was restored"
    ))
    .hint(format!(
        "restore into a server of version {theirs} or newer"
    ))
    .into())
}

/// Finds the programs that read the archive and fit the server.
pub(super) async fn clients(options: &Options, archive: &Archive, major: u32) -> Result<Clients> {
    let found = clients::search(&options.places).await?;
    let dump_major = clients::for_dump_version(&archive.tools.pg_dump)?;
    Ok(clients::for_restore(&found, major, dump_major)?.clone())
}

fn stamp() -> String {
    Utc::now()
        .format("%Y%m%dT%H%M%S")
        .to_string()
        .to_lowercase()
}

/// Appends to a name, which PostgreSQL would cut at 63 bytes.
pub(in crate::backup) fn suffixed(name: &str, suffix: &str) -> String {
    let mut end = name.len().min(63 - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &name[..end])
}

async fn check_rights(session: &Session) -> Result<()> {
    let row = session
        .query_one(
            "SELECT r.rolsuper OR r.rolcreatedb FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    if row.get(0) {
        return Ok(());
    }
    Err(
        refuse("this role may not make databases, nothing was restored")
            .hint("restore as a superuser, or ALTER ROLE … CREATEDB")
            .into(),
    )
}

/// Refuses where the database could not be given to its owner, which would be found out only when all the rows are in.
async fn check_owner(session: &Session, owner: &str) -> Result<()> {
    // One that is missing is made, by whoever may, and is a matter of its own.
    let may = session
        .query(
            "SELECT pg_catalog.pg_has_role(r.oid, 'MEMBER') FROM pg_catalog.pg_roles AS r WHERE r.rolname = $1",
            &[(&owner, Type::TEXT)],
        )
        .await?;
    if may.iter().all(|row| row.get(0)) {
        return Ok(());
    }
    Err(refuse(format!(
        "this role may not give the database to `{owner}`, whose it was; nothing was restored"
    ))
    .hint("restore as a superuser or a member of that role, or with --no-owner")
    .into())
}

/// Refuses to rename the database that a platform's services live in.
async fn check_platform(session: &Session) -> Result<()> {
    if !surroundings::role_exists(session, "supabase_admin").await? {
        return Ok(());
    }
    Err(refuse(
        "the database `postgres` of a Supabase project cannot change its name, nothing was restored",
    )
    .hint("restore --profile supabase-project into a fresh project, or into a database of its own with --into")
    .into())
}

async fn check_mapping(session: &Session, mapping: &Mapping) -> Result<()> {
    if mapping.is_empty() {
        return Ok(());
    }
    let there = surroundings::roles(session).await?;
    match mapping.absent(&there).first() {
        None => Ok(()),
        Some(role) => Err(refuse(format!(
            "the server has no role `{role}` to map to, nothing was restored"
        ))
        .hint("make it first, or leave the mapping out: missing roles are made")
        .into()),
    }
}

async fn is_empty(target: &Target) -> Result<bool> {
    let session = connect::open(target, &silent).await?;
    let row = session
        .query_one(include_str!("../queries/is_empty.sql"), &[])
        .await?;
    session.close().await;
    Ok(row.get(0))
}
