//! Puts an archive back: into a database of its own, proven there, and only then in anybody's place.
//!
//! Whatever goes wrong before the last step, every database that was there is as it was and what was made is removed.

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

/// What may stand where the archive is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nothing, or a database in which nobody made anything: it is looked at again while nobody can write to it.
    New,
    /// A database that is kept under another name.
    Swap,
}

/// What to restore and how.
#[derive(Clone)]
pub struct Options {
    /// The server; the database named in it is where the archive goes.
    pub target: Target,
    /// What may stand there.
    pub place: Destination,
    /// Keys that may open the archive.
    pub identities: Vec<Identity>,
    /// Where the client programs may be.
    pub places: ClientSearchPath,
    /// Where the dump is unpacked.
    pub scratch: PathBuf,
    /// How many sessions load at once.
    pub jobs: u32,
    /// Whether everything is to belong to whoever restores.
    pub no_owner: bool,
    /// Roles that are made with the attributes and memberships they have in the archive; any other gets none.
    pub role_attributes: BTreeSet<String>,
    /// What of the archive is wanted.
    pub profile: Profile,
    /// Which roles of the server take the place of which of the archive.
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
    /// Proving that all of it is there.
    pub prove: u64,
    /// Changing places.
    pub swap: u64,
    /// All of it.
    pub total: u64,
}

/// What came of a restore.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The archive.
    pub archive: crate::archive::Archive,
    /// The database it is in now; absent when it did not prove equal and was removed.
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
    with_exit(Exit::Interrupted, "interrupted, nothing was changed").into()
}

/// An archive on its way.
#[derive(Clone, Copy)]
struct Work<'a> {
    options: &'a Options,
    unpacked: &'a Unpacked,
    watch: Watch<'a>,
    interrupt: &'a Interrupt,
}

/// Builds a database beside all others and gives it its name once it is proven.
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
    // A database of that name that is not ours, such as another restore's of this second, is left alone.
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
        .unwrap_or_else(|| anyhow::anyhow!("there is no other database"))
        .context("connecting to the database `postgres`, from which databases are made"))
}

/// Refuses names that cannot be swapped where the platform keeps a database for itself.
pub fn check_name(name: &str) -> Result<()> {
    if matches!(name, "template0" | "template1") {
        return Err(refuse(format!(
            "the database `{name}` belongs to the server, nothing was restored"
        ))
        .hint("name another with --into")
        .into());
    }
    if name.is_empty() {
        return Err(
            fail("the database to restore into has no name, nothing was restored")
                .hint("name it: --into NAME; a variable of a script may be empty")
                .into(),
        );
    }
    if name.len() > 63 {
        return Err(fail(format!(
            "`{name}` is {} bytes long and PostgreSQL cuts names at 63, nothing was restored",
            name.len()
        ))
        .hint("name a shorter one with --into")
        .into());
    }
    Ok(())
}
