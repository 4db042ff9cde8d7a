//! Plans the names of a restore and refuses what cannot succeed before anything is created.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use tokio_postgres::types::Type;

use crate::archive::Archive;
use crate::clients::{self, Clients};
use crate::emptiness::{self, EmptinessCandidate};
use crate::error::refuse;
use crate::event::silent;
use crate::mapping::Mapping;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::properties;
use crate::restore::leftovers::{self, suffixed};
use crate::restore::{AdminSession, Destination, Options, Work};
use crate::roles_and_settings;
use crate::swap;
use crate::unpack::Unpacked;

/// What will be made under which name.
pub(super) struct Plan {
    pub(super) clients: Clients,
    pub(super) major: u32,
    /// The final name of the restored database.
    pub(super) name: String,
    /// The name it has until it is verified.
    pub(super) building: String,
    /// The name under which the replaced database is kept.
    pub(super) kept_as: Option<String>,
    /// Whether the existing database may be replaced only while it is empty, in which case it is not kept.
    pub(super) must_be_empty: bool,
    /// Roles that may own an untouched database.
    owners: Vec<String>,
    /// How many may connect once it is finished.
    pub(super) connection_limit: i64,
}

impl Plan {
    pub(super) fn candidate<'a>(&self, admin: &'a Target) -> EmptinessCandidate<'a> {
        EmptinessCandidate {
            target: admin,
            owners: self.owners.clone(),
        }
    }
}

pub(super) async fn prepare(work: Work<'_>, admin: &AdminSession) -> Result<Plan> {
    let Work {
        options,
        unpacked,
        watch,
        ..
    } = work;
    let session = &admin.session;
    let name = options.target.database().to_owned();
    let (server, _) = properties::server(session).await?;
    let major = server.version_num / 10_000;
    refuse_newer(&unpacked.archive, major)?;
    check_rights(session).await?;
    check_mapping(session, &options.mapping).await?;
    if !options.no_owner {
        check_owner(session, &unpacked.contents.proof.database.owner).await?;
    }
    if options.place == Destination::Swap && name == "postgres" {
        check_platform(session).await?;
    }
    let clients = clients(options, &unpacked.archive, major).await?;
    let exists = check_old(session, &name).await?;
    let owners = owners(session, options, unpacked).await?;
    if exists && options.place == Destination::New {
        let inside = connect::open(&options.target, &silent).await?;
        let candidate = EmptinessCandidate {
            target: &options.target,
            owners: owners.clone(),
        };
        let found = emptiness::contents(&inside, &candidate).await?;
        inside.close().await;
        swap::not_empty(&name, &found.objects)?;
    }
    leftovers::sweep(session, watch).await?;
    let (building, before) = unused_names(session, &name).await?;
    Ok(Plan {
        clients,
        major,
        building,
        kept_as: exists.then_some(before),
        name,
        must_be_empty: options.place == Destination::New,
        owners,
        connection_limit: unpacked.contents.proof.database.connection_limit,
    })
}

/// Returns the roles that may own an untouched database for this restore.
async fn owners(session: &Session, options: &Options, unpacked: &Unpacked) -> Result<Vec<String>> {
    let row = session
        .query_one("SELECT current_user::pg_catalog.text", &[])
        .await?;
    let mut owners = vec![row.get(0)];
    if !options.no_owner {
        owners.push(unpacked.contents.proof.database.owner.clone());
    }
    Ok(owners)
}

/// Refuses an archive of a newer server than the one it is for.
pub(super) fn refuse_newer(archive: &Archive, major: u32) -> Result<()> {
    let theirs = archive.major();
    if theirs <= major {
        return Ok(());
    }
    Err(refuse(format!(
        "the backup is from PostgreSQL {theirs}, but this server is {major}; nothing was restored"
    ))
    .hint(format!("restore into PostgreSQL {theirs} or newer"))
    .into())
}

/// Finds the programs that read the archive and fit the server.
pub(super) async fn clients(options: &Options, archive: &Archive, major: u32) -> Result<Clients> {
    let found = clients::search(&options.places).await?;
    let dump_major = clients::for_dump_version(&archive.tools.pg_dump)?;
    Ok(clients::for_restore(&found, major, dump_major)?.clone())
}

/// Names the database to restore into and the one that is replaced after the current second, or the next that is unused:
/// two restores of one database within a second would collide.
async fn unused_names(session: &Session, name: &str) -> Result<(String, String)> {
    let mut time = Utc::now();
    loop {
        let stamp = time.format("%Y%m%dt%H%M%S");
        let building = suffixed(name, &format!("_restoring_{stamp}"));
        let before = suffixed(name, &format!("_before_{stamp}"));
        let used = session
            .query(
                "SELECT 1 FROM pg_catalog.pg_database WHERE datname IN ($1, $2)",
                &[(&building, Type::TEXT), (&before, Type::TEXT)],
            )
            .await?;
        if used.is_empty() {
            return Ok((building, before));
        }
        time += TimeDelta::seconds(1);
    }
}

/// Returns whether the target database exists, and refuses one that could not be renamed.
async fn check_old(session: &Session, name: &str) -> Result<bool> {
    let there = session
        .query(
            "SELECT pg_catalog.pg_get_userbyid(d.datdba)::pg_catalog.text AS owner, \
             pg_catalog.pg_has_role(d.datdba, 'USAGE') AS may_rename \
             FROM pg_catalog.pg_database AS d WHERE d.datname = $1",
            &[(&name, Type::TEXT)],
        )
        .await?;
    let Some(row) = there.first() else {
        return Ok(false);
    };
    if row.get("may_rename") {
        return Ok(true);
    }
    let owner: String = row.get("owner");
    Err(refuse(format!(
        "database `{name}` is owned by `{owner}`, and this role may not rename it; nothing was restored"
    ))
    .hint(format!(
        "restore as `{owner}` or a superuser, or into a new database with --into NAME"
    ))
    .into())
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
        refuse("this role may not create databases; nothing was restored")
            .hint("restore as a superuser, or ALTER ROLE … CREATEDB")
            .into(),
    )
}

/// Refuses if the owner of the database cannot be set, which would otherwise fail after all rows are loaded.
async fn check_owner(session: &Session, owner: &str) -> Result<()> {
    // A missing owner is created; whether this role may is checked separately.
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
        "this role may not make `{owner}` the owner of the restored database; nothing was restored"
    ))
    .hint("restore as a superuser or a member of that role, or with --no-owner")
    .into())
}

/// Refuses to rename the database that a platform's services use.
async fn check_platform(session: &Session) -> Result<()> {
    if !roles_and_settings::role_exists(session, "supabase_admin").await? {
        return Ok(());
    }
    Err(refuse(
        "database `postgres` of a Supabase project cannot be renamed; nothing was restored",
    )
    .hint("restore --profile supabase-project into a new project, or into a new database with --into")
    .into())
}

async fn check_mapping(session: &Session, mapping: &Mapping) -> Result<()> {
    if mapping.is_empty() {
        return Ok(());
    }
    let there = roles_and_settings::roles(session).await?;
    match mapping.absent(&there).first() {
        None => Ok(()),
        Some(role) => Err(refuse(format!(
            "the server has no role `{role}` to map to; nothing was restored"
        ))
        .hint("create the role first, or omit the mapping: missing roles are created")
        .into()),
    }
}
