//! Restores an archive into a new database, verifies it there, and only then replaces another.
//!
//! On any failure before the last step, existing databases are unchanged and the new one is removed.

mod entry_selection;
mod final_name;
mod into_platform;
pub mod leftovers;
mod new_database;
pub mod plan;
mod psql_script;
mod statistics;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use age::x25519::Identity;
use anyhow::Result;
use tokio::time::Instant;

use crate::clients::ClientSearchPath;
use crate::error::{Exit, fail, refuse, with_exit};
use crate::event::{Interrupt, Watch};
use crate::finding::{Finding, Severity, worst};
use crate::mapping::Mapping;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::profile::{Profile, ProfileContext};
use crate::store::Store;
use crate::unpack::{self, ArchiveSource, Unpacked};

/// What the restored database may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nothing, or an empty database, which is checked again while no other session can write to it.
    New,
    /// A database that is kept under another name.
    Swap,
}

/// What to restore and how.
#[derive(Clone)]
pub struct Options {
    /// The server; the database named in it is where the archive goes.
    pub target: Target,
    pub place: Destination,
    pub identities: Vec<Identity>,
    /// Where the client programs may be.
    pub places: ClientSearchPath,
    pub scratch: PathBuf,
    /// How many sessions load at once.
    pub jobs: u32,
    pub no_owner: bool,
    /// Roles that are made with the attributes and memberships they have in the archive; any other gets none.
    pub role_attributes: BTreeSet<String>,
    pub profile: Profile,
    pub mapping: Mapping,
}

/// How long each part took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Times {
    /// Checking and unpacking the archive.
    pub check: u64,
    /// Tables, types and functions.
    pub schema: u64,
    /// Rows.
    pub data: u64,
    /// Indexes, constraints, triggers and policies.
    pub indexes: u64,
    /// Statistics.
    pub analyze: u64,
    /// Verification.
    pub prove: u64,
    /// Swapping the database names.
    pub swap: u64,
    /// All of it.
    pub total: u64,
}

#[derive(Clone, Debug)]
pub struct Restored {
    pub archive: crate::archive::Archive,
    /// The restored database; absent when it differed from the archive and was removed.
    pub database: Option<String>,
    /// The name the old database keeps, where there was one.
    pub kept_as: Option<String>,
    /// How it differs from the archive.
    pub findings: Vec<Finding>,
    /// How long it took, in milliseconds.
    pub times: Times,
}

/// Restores an archive.
pub async fn run(
    options: &Options,
    store: &Store,
    name: &str,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Restored> {
    let _guard = interrupt.guard();
    let clock = Instant::now();
    let mut times = Times::default();
    let source = ArchiveSource {
        store,
        name,
        identities: &options.identities,
    };
    let unpacked = unpack::unpack(
        &source,
        &options.scratch,
        &options.mapping,
        watch,
        interrupt,
    )
    .await?;
    times.check = milliseconds(clock);
    let admin = maintenance(&options.target, watch).await?;
    let goes_onto = options.profile != Profile::Plain
        && options.place == Destination::New
        && into_platform::has_platform(&admin.session, &options.target).await?;
    let restored = if goes_onto {
        let onto = into_platform::IntoPlatform {
            options,
            unpacked: &unpacked,
            watch,
        };
        tokio::select! {
            restored = onto.run(times) => restored,
            () = interrupt.wait() => Err(interrupted()),
        }
    } else {
        into_platform::check_profile(options.profile, &options.target)?;
        let work = Work {
            options,
            unpacked: &unpacked,
            watch,
            interrupt,
        };
        beside(work, &admin, times).await
    };
    admin.session.close().await;
    let mut restored = restored?;
    restored.times.total = milliseconds(clock);
    Ok(restored)
}

fn interrupted() -> anyhow::Error {
    with_exit(Exit::Interrupted, "interrupted; nothing was changed").into()
}

/// A restore in progress.
#[derive(Clone, Copy)]
struct Work<'a> {
    options: &'a Options,
    unpacked: &'a Unpacked,
    watch: Watch<'a>,
    interrupt: &'a Interrupt,
}

/// Restores into a new database and renames it once it is verified.
async fn beside(work: Work<'_>, admin: &AdminSession, mut times: Times) -> Result<Restored> {
    let extensions = entry_selection::extensions(&admin.session).await?;
    let context = ProfileContext {
        platform: None,
        extensions: &extensions,
    };
    let choice = entry_selection::choose(work.options, &work.unpacked.contents, context)?;
    let plan = plan::prepare(work, admin).await?;
    let building = new_database::NewDatabase {
        work,
        choice: &choice,
        plan: &plan,
        made: Cell::new(false),
    };
    let built = tokio::select! {
        built = building.build(&admin.session, &mut times) => built,
        () = work.interrupt.wait() => Err(interrupted()),
    };
    let is_equal = matches!(&built, Ok(findings) if worst(findings) != Some(Severity::Error));
    // A database of that name that we did not create, such as a concurrent restore's, is left alone.
    if !is_equal && building.made.get() {
        leftovers::discard(&admin.target, &plan.building).await;
    }
    let mut findings = built?;
    findings.extend(choice.findings);
    let mut restored = Restored {
        archive: work.unpacked.archive.clone(),
        database: None,
        kept_as: None,
        findings,
        times,
    };
    if is_equal {
        let clock = Instant::now();
        let moved = final_name::take(admin, &plan).await;
        if moved.is_err() {
            leftovers::discard(&admin.target, &plan.building).await;
        }
        let taken = moved?;
        restored.kept_as = taken.kept_as;
        restored.findings.extend(taken.finding);
        restored.times.swap = milliseconds(clock);
        restored.database = Some(plan.name.clone());
    }
    Ok(restored)
}

pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A session on the same server but on another database than the one to be replaced.
struct AdminSession {
    session: Session,
    target: Target,
}

async fn maintenance(target: &Target, watch: Watch<'_>) -> Result<AdminSession> {
    let mut last = None;
    for database in ["postgres", "template1"] {
        if database == target.database() {
            continue;
        }
        let target = target.with_database(database);
        match connect::open(&target, watch).await {
            Ok(session) => return Ok(AdminSession { session, target }),
            Err(error) => last = Some(error),
        }
    }
    Err(last
        .unwrap_or_else(|| anyhow::anyhow!("no maintenance database"))
        .context("connecting to database `postgres` to create databases"))
}

/// Refuses names that cannot be swapped where the platform keeps a database for itself.
pub fn check_name(name: &str) -> Result<()> {
    if matches!(name, "template0" | "template1") {
        return Err(refuse(format!(
            "`{name}` is a system database; nothing was restored"
        ))
        .hint("choose another database with --into")
        .into());
    }
    if name.is_empty() {
        return Err(
            fail("the target database name is empty; nothing was restored")
                .hint("give --into NAME; a shell variable may be empty")
                .into(),
        );
    }
    if name.len() > 63 {
        return Err(fail(format!(
            "database name `{name}` has {} bytes, but PostgreSQL allows 63; nothing was restored",
            name.len()
        ))
        .hint("choose a shorter name with --into")
        .into());
    }
    Ok(())
}
