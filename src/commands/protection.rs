//! Whether a database is a protected environment, whatever URL it was reached by.
//!
//! What decides is the identity of the database: the system identifier of its cluster and its oid there. It is compared
//! with what the database says itself ([`marker`]), with what this project has seen before (`.af-db/identities`) and
//! with the protected environments of `af-db.yaml`, which are connected to for theirs. URLs decide only where an identity
//! is not known.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use crate::commands::{Context, Purpose};
use crate::config::{DatabaseSource, Environment, ProtectedEnvironment};
use crate::error::refuse;
use crate::event::silent;
use crate::pg::connect;
use crate::pg::dev::folder::ProjectFolder;
use crate::pg::protection_marker::{self, Protection, ProtectionMarker};
use crate::pg::server_info::{DatabaseIdentity, ServerInfo};
use crate::pg::session::Session;
use crate::pg::target::{Likeness, Target};

/// How much of a server a command changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeScope {
    Database,
    /// Also roles or other databases.
    Cluster,
}

impl ChangeScope {
    /// Whether a change through one database can affect the other one.
    fn is_same(self, one: DatabaseIdentity, other: DatabaseIdentity) -> bool {
        match self {
            ChangeScope::Database => one == other,
            ChangeScope::Cluster => one.cluster == other.cluster,
        }
    }
}

/// Whether a database is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recognition {
    /// It is not a protected environment.
    Open,
    /// It is protected; its rules now apply.
    Protected,
    /// It may be this environment, whose identity is unknown for this reason.
    Unclear { environment: String, why: String },
}

/// A protected environment of `af-db.yaml` with its known identities.
struct KnownEnvironment {
    declared: ProtectedEnvironment,
    identities: Vec<DatabaseIdentity>,
}

/// The protected environments, whose identities are read once per process.
#[derive(Default)]
pub(crate) struct EnvironmentRegister {
    known: OnceCell<Vec<KnownEnvironment>>,
}

/// How long reading the identity of a protected environment may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Finds out whether the database of a session is a protected environment, and applies its rules if it is.
///
/// Every session that may write passes through here before any question or write.
pub(crate) async fn enter(
    context: &Context,
    session: &Session,
    target: &Target,
    purpose: Purpose,
) -> Result<()> {
    if purpose != Purpose::Writing {
        recall_for_reading(context, session.server_info(), target);
        return Ok(());
    }
    match recognise(context, session, target, ChangeScope::Database).await? {
        Recognition::Open | Recognition::Protected => Ok(()),
        Recognition::Unclear { environment, why } => {
            ask_about_doubt(context, session.server_info(), target, &environment, &why)
        }
    }
}

/// The same for a member of a fleet, without a question.
pub(crate) async fn enter_member(
    context: &Context,
    session: &Session,
    target: &Target,
) -> Result<()> {
    match recognise(context, session, target, ChangeScope::Database).await? {
        Recognition::Open | Recognition::Protected => Ok(()),
        Recognition::Unclear { environment, why } => Err(refuse(format!(
            "{}; nothing was changed",
            doubt(target, &environment, &why)
        ))
        .hint(format!(
            "Provide the connection URL of `{environment}` that af-db.yaml refers to"
        ))
        .into()),
    }
}

fn doubt(target: &Target, environment: &str, why: &str) -> String {
    format!("cannot determine whether {target} is the protected environment `{environment}`: {why}")
}

/// Finds out whether a server hosts a protected environment, before roles or databases are created there.
pub(crate) async fn enter_server(context: &Context, target: &Target) -> Result<()> {
    if context.config.database.target.is_none() {
        // The embedded PostgreSQL is never a protected environment.
        return Ok(());
    }
    let session = any_database(context, target).await?;
    let verdict = recognise(context, &session, target, ChangeScope::Cluster).await?;
    let facts = session.server_info().clone();
    session.close().await;
    match verdict {
        Recognition::Open | Recognition::Protected => Ok(()),
        Recognition::Unclear { environment, why } => {
            ask_about_doubt(context, &facts, target, &environment, &why)
        }
    }
}

/// Refuses to use the server of a protected environment as shadow server.
pub(crate) async fn refuse_shadow(context: &Context, server: &Target) -> Result<()> {
    let there = context.at(server.clone());
    if !there.config.database.is_protected() {
        let session = any_database(&there, server).await?;
        recognise(&there, &session, server, ChangeScope::Cluster).await?;
        session.close().await;
    }
    if !there.config.database.is_protected() {
        return Ok(());
    }
    Err(refuse(format!(
        "AF_DB_SHADOW_URL points to the server of the protected environment `{}`; nothing was run",
        there.config.database.environment()
    ))
    .hint("Use another server, or unset AF_DB_SHADOW_URL to let af-db start one")
    .into())
}

/// Opens a session on a database, or on another one of its server if it does not exist yet.
async fn any_database(context: &Context, target: &Target) -> Result<Session> {
    let watch = context.watch();
    let mut last = match connect::open(target, &watch).await {
        Ok(session) => return Ok(session),
        Err(error) => error,
    };
    for database in ["postgres", "template1"] {
        let beside = target.with_database(database);
        match connect::open_with(&beside, &connect::RetryLimits::ONCE, &watch).await {
            Ok(session) => return Ok(session),
            Err(error) => last = error,
        }
    }
    Err(last.context("connecting to the maintenance database `postgres`"))
}

/// Remembers or recalls a protected environment that is only read, without extra queries.
fn recall_for_reading(context: &Context, facts: &ServerInfo, target: &Target) {
    let database = &context.config.database;
    if database.is_protected() {
        remember_own(context, facts, target);
    } else if !matches!(database.source, DatabaseSource::Environment(_))
        && let Some(RememberedIdentity::Protected(environment)) =
            recall(context, facts, ChangeScope::Database)
    {
        apply(context, &environment, None);
    }
}

/// Finds out whether the database of a session is a protected environment, and applies its rules if it is.
pub(crate) async fn recognise(
    context: &Context,
    session: &Session,
    target: &Target,
    scope: ChangeScope,
) -> Result<Recognition> {
    let facts = session.server_info();
    if context.config.database.is_protected() {
        remember_own(context, facts, target);
        return Ok(Recognition::Protected);
    }
    let recorded = protection_marker::read(session).await?;
    if recorded == Protection::Unreadable {
        return Err(refuse(format!(
            "role `{}` cannot read every row of af_db.protection, so the protection of `{}` is unknown; nothing was changed",
            facts.role, facts.database
        ))
        .hint("Grant that role USAGE on schema af_db and SELECT on af_db.protection; the table must not have row-level security")
        .into());
    }
    if let Protection::Recorded(markers) = &recorded
        && let Some(marker) = own_marker(context, markers)
    {
        apply(context, &marker.environment, Some(marker));
        let memory = RememberedIdentity::Protected(marker.environment.clone());
        remember(context, facts, &memory);
        return Ok(Recognition::Protected);
    }
    let lifted = recorded == Protection::Lifted;
    let memory = recall(context, facts, scope);
    if let (Some(RememberedIdentity::Protected(environment)), false) = (&memory, lifted) {
        apply(context, environment, None);
        return Ok(Recognition::Protected);
    }
    match by_declaration(context, session, target, scope, lifted).await? {
        Recognition::Unclear { .. } if lifted || memory.is_some() => Ok(Recognition::Open),
        verdict => Ok(verdict),
    }
}

/// Compares with the protected environments of `af-db.yaml`.
async fn by_declaration(
    context: &Context,
    session: &Session,
    target: &Target,
    scope: ChangeScope,
    lifted: bool,
) -> Result<Recognition> {
    let identity = session.server_info().identity();
    let mut unclear = None;
    for known in known(context).await {
        let same = |own: &DatabaseIdentity| {
            identity.is_some_and(|one| scope.is_same(one, *own)) && !lifted
        };
        let is_distinguished = identity.is_some() && !known.identities.is_empty();
        let likeness = if known.identities.iter().any(same) {
            Likeness::Same
        } else {
            by_network(session, target, known, scope, is_distinguished).await?
        };
        match likeness {
            Likeness::Same => {
                apply(context, &known.declared.name, None);
                return Ok(Recognition::Protected);
            }
            Likeness::Unclear if !is_distinguished => {
                unclear.get_or_insert_with(|| Recognition::Unclear {
                    environment: known.declared.name.clone(),
                    why: missing(&known.declared),
                });
            }
            _ => {}
        }
    }
    if identity.is_none() && !known(context).await.is_empty() {
        context.terminal.say(&format!(
            "the system identifier of {target} cannot be read; its protection was determined by its connection URL"
        ));
    }
    Ok(unclear.unwrap_or(Recognition::Open))
}

/// The protected environments with their remembered identities, else with the one read by connecting.
async fn known(context: &Context) -> &Vec<KnownEnvironment> {
    let learn = || async {
        let folder = ProjectFolder::of(&context.config.root);
        // At once: each may be out of scope, and is waited for.
        join_all(
            context
                .config
                .protected()
                .into_iter()
                .map(async |declared| {
                    let mut identities = remembered_of(&folder, &declared.name);
                    if identities.is_empty() {
                        identities = read_identities(context, &declared).await;
                    }
                    KnownEnvironment {
                        declared,
                        identities,
                    }
                }),
        )
        .await
    };
    context.register.known.get_or_init(learn).await
}

/// Connects to a protected environment to read and remember its identity.
async fn read_identities(
    context: &Context,
    declared: &ProtectedEnvironment,
) -> Vec<DatabaseIdentity> {
    let addresses = declared.addresses.iter().filter_map(|one| one.complete());
    let asked = addresses.map(async |target| {
        let mut target = target.clone();
        let patience = target.connect_timeout.unwrap_or(PATIENCE);
        target.connect_timeout = Some(patience.min(PATIENCE));
        let opened = connect::open_with(&target, &connect::RetryLimits::ONCE, &silent).await;
        let session = opened.ok()?;
        let memory = RememberedIdentity::Protected(declared.name.clone());
        remember(context, session.server_info(), &memory);
        let identity = session.server_info().identity();
        session.close().await;
        identity
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Why the identity of an environment is unknown.
fn missing(declared: &ProtectedEnvironment) -> String {
    let mut unset = BTreeSet::new();
    for address in &declared.addresses {
        unset.extend(address.unset.iter().map(String::as_str));
    }
    let unset: Vec<&str> = unset.into_iter().collect();
    match unset.as_slice() {
        [] => "its server is not reachable from this machine".to_owned(),
        [one] => format!("{one} is not set"),
        several => format!("{} are not set", several.join(", ")),
    }
}

/// Where a server listens; without an address on this machine.
type Endpoint = (Option<IpAddr>, u16);

/// Compares a session with an environment whose identity is not known, or not the same, by where both servers are.
async fn by_network(
    session: &Session,
    target: &Target,
    known: &KnownEnvironment,
    scope: ChangeScope,
    is_distinguished: bool,
) -> Result<Likeness> {
    let mut ours: Option<BTreeSet<Endpoint>> = None;
    let mut likeness = Likeness::Different;
    for address in &known.declared.addresses {
        let Some(own) = &address.target else {
            likeness = Likeness::Unclear;
            continue;
        };
        let own = match scope {
            ChangeScope::Database => own.clone(),
            // Any database of its server.
            ChangeScope::Cluster => own.with_database(target.database()),
        };
        match own.likeness(target) {
            Likeness::Same => return Ok(Likeness::Same),
            Likeness::Unclear => {
                likeness = Likeness::Unclear;
                continue;
            }
            Likeness::Different => {}
        }
        let database = own.with_address("localhost", 1);
        let database = database.likeness(&target.with_address("localhost", 1));
        if database == Likeness::Different || own.is_known_by_name() || target.is_known_by_name() {
            continue;
        }
        let ours = match &mut ours {
            Some(ours) => ours,
            none => none.insert(endpoints_of(session, target, is_distinguished).await?),
        };
        match endpoints(&own).await {
            Some(theirs) if theirs.is_disjoint(ours) => {
                // A pooler stands beside its server, on another port.
                let mut machines = theirs.iter().map(|(machine, _)| machine);
                if !is_distinguished
                    && machines.any(|one| ours.iter().any(|(other, _)| one == other))
                {
                    likeness = Likeness::Unclear;
                }
            }
            Some(_) if database == Likeness::Same => return Ok(Likeness::Same),
            Some(_) => likeness = Likeness::Unclear,
            // A name that does not resolve is not this machine's own.
            None if ours.iter().all(|(address, _)| address.is_none()) => {}
            None => likeness = Likeness::Unclear,
        }
    }
    Ok(likeness)
}

/// Where the server of a session listens: as dialled, and unless it is known to be another database also as the server
/// reports it, for servers behind a pooler or a forwarded port.
async fn endpoints_of(
    session: &Session,
    target: &Target,
    as_dialled: bool,
) -> Result<BTreeSet<Endpoint>> {
    let mut found = endpoints(target).await.unwrap_or_default();
    if as_dialled {
        return Ok(found);
    }
    let row = session
        .query_one(include_str!("queries/server_endpoint.sql"), &[])
        .await?;
    let Ok(port) = u16::try_from(row.get::<_, i32>("port")) else {
        return Ok(found);
    };
    let machines: Vec<Option<IpAddr>> = found.iter().map(|(machine, _)| *machine).collect();
    found.extend(machines.into_iter().map(|machine| (machine, port)));
    let address: Option<String> = row.get("address");
    let address: Option<IpAddr> = address.and_then(|address| address.parse().ok());
    // A loopback address is the server's own machine, which is already included.
    if let Some(address) = address.filter(|address| !address.to_canonical().is_loopback()) {
        found.insert((remote_address(address), port));
    }
    Ok(found)
}

/// Resolves the endpoints of a target; none if a name does not resolve.
async fn endpoints(target: &Target) -> Option<BTreeSet<Endpoint>> {
    let mut found = BTreeSet::new();
    for host in &target.hosts {
        if host.is_socket() && host.address.is_none() {
            found.insert((None, host.port));
        } else if let Some(address) = host.address {
            found.insert((remote_address(address), host.port));
        } else {
            let resolving = tokio::net::lookup_host((host.name.as_str(), host.port));
            let resolved = tokio::time::timeout(PATIENCE, resolving).await.ok()?.ok()?;
            found.extend(resolved.map(|at| (remote_address(at.ip()), host.port)));
        }
    }
    Some(found)
}

/// The address, unless it belongs to this machine.
fn remote_address(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let is_here = address.is_loopback()
        || address.is_unspecified()
        // Only addresses of this machine can be bound.
        || std::net::UdpSocket::bind((address, 0)).is_ok();
    (!is_here).then_some(address)
}

/// The marker whose environment the project has, else the first.
fn own_marker<'m>(
    context: &Context,
    markers: &'m [ProtectionMarker],
) -> Option<&'m ProtectionMarker> {
    let environments = &context.config.file.environments;
    let named = |marker: &&ProtectionMarker| environments.contains_key(&marker.environment);
    markers.iter().find(named).or(markers.first())
}

/// Applies the rules of a protected environment: the project's own, else those recorded in the database.
fn apply(context: &Context, environment: &str, marker: Option<&ProtectionMarker>) {
    let environments = &context.config.file.environments;
    let own = environments.get(environment).filter(|own| own.protected);
    let recorded = || {
        let marker = marker?;
        Some(Environment {
            require: marker.require.clone(),
            approvers: marker.approvers.clone(),
            approvals: marker.approvals.and_then(|it| usize::try_from(it).ok()),
            ..Environment::default()
        })
    };
    let rules = own.cloned().or_else(recorded).unwrap_or_default();
    let database = &context.config.database;
    if database.environment() != environment {
        context.terminal.say(&format!(
            "this database is the protected environment `{environment}`, although the connection came from {}",
            database.source
        ));
    }
    database.recognise(environment, rules);
}

/// Asks for confirmation to change a database that may be a protected environment; the answer is remembered.
fn ask_about_doubt(
    context: &Context,
    facts: &ServerInfo,
    target: &Target,
    environment: &str,
    why: &str,
) -> Result<()> {
    let doubt = doubt(target, environment, why);
    if let DatabaseSource::Environment(name) = &context.config.database.source {
        // An environment chosen with --env that has its own URL identifies the database.
        context.terminal.say(&format!(
            "{doubt}; continuing because environment `{name}` was chosen"
        ));
        return Ok(());
    }
    let words = format!("{} is not {environment}", target.database());
    let otherwise = format!(
        "without a terminal, provide the connection URL of `{environment}` that af-db.yaml refers to, or add this database to af-db.yaml as another environment and choose it with --env"
    );
    context.terminal.confirm_typed(&doubt, &words, &otherwise)?;
    remember(context, facts, &RememberedIdentity::Other);
    Ok(())
}

/// Marks the database as protected, after the change was permitted and before it starts.
pub(crate) async fn mark(context: &Context, session: &Session, target: &Target) {
    let database = &context.config.database;
    if !database.is_protected() || database.target.is_none() || !is_own(context, target) {
        return;
    }
    let wanted = ProtectionMarker {
        environment: database.environment().to_owned(),
        require: database.rules().require.clone(),
        approvers: database.rules().approvers.clone(),
        approvals: database
            .rules()
            .approvals
            .and_then(|it| i32::try_from(it).ok()),
    };
    let marked = async {
        match protection_marker::read(session).await? {
            Protection::Recorded(markers) if markers.contains(&wanted) => Ok(()),
            _ => protection_marker::write(session, &wanted).await,
        }
    };
    if let Err(error) = marked.await {
        context.terminal.warn(&format!(
            "the database could not be marked as protected environment `{}`, so other projects do not recognize it: {error:#}",
            wanted.environment
        ));
    }
    remember(
        context,
        session.server_info(),
        &RememberedIdentity::Protected(wanted.environment),
    );
}

/// Marks a database that replaced a protected one: it has a new identity.
pub(crate) async fn mark_restored(context: &Context, target: &Target) -> Result<()> {
    if context.config.database.is_protected() {
        let session = connect::open(target, &context.watch()).await?;
        mark(context, &session, target).await;
        session.close().await;
    }
    Ok(())
}

/// Removes the protection mark of a database.
pub(crate) async fn lift(context: &Context, session: &Session) -> Result<()> {
    protection_marker::clear(session).await?;
    remember(context, session.server_info(), &RememberedIdentity::Other);
    Ok(())
}

/// Whether a target is the environment whose rules apply: --env can be combined with any URL.
fn is_own(context: &Context, target: &Target) -> bool {
    let database = &context.config.database;
    if database.is_recognised()
        || database.source == DatabaseSource::Environment(database.environment().to_owned())
    {
        return true;
    }
    let declared = context.config.protected();
    let mut own = declared
        .iter()
        .filter(|one| one.name == database.environment());
    own.any(|own| own.addresses.is_empty() || own.has_address(target))
}

fn remember_own(context: &Context, facts: &ServerInfo, target: &Target) {
    let database = &context.config.database;
    if database.target.is_some() && is_own(context, target) {
        let environment = database.environment().to_owned();
        remember(context, facts, &RememberedIdentity::Protected(environment));
    }
}

/// What this project remembers of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RememberedIdentity {
    /// It is this protected environment.
    Protected(String),
    /// A person confirmed that it is not protected.
    Other,
}

/// One file per database, named by its identity: concurrent commands write different files, and a damaged file still
/// protects.
const IDENTITIES: &str = "identities";

const OTHER: &str = "not protected\n";

fn recall(context: &Context, facts: &ServerInfo, scope: ChangeScope) -> Option<RememberedIdentity> {
    let folder = ProjectFolder::of(&context.config.root);
    let identity = facts.identity()?;
    let own = memory(&folder, &identity.to_string());
    if scope == ChangeScope::Database || matches!(own, Some(RememberedIdentity::Protected(_))) {
        return own;
    }
    let names = folder.names(IDENTITIES).into_iter();
    let near = names.filter(|name| {
        DatabaseIdentity::parse(name).is_some_and(|other| scope.is_same(identity, other))
    });
    let mut near = near.filter_map(|name| memory(&folder, &name));
    near.find(|one| *one != RememberedIdentity::Other).or(own)
}

fn memory(folder: &ProjectFolder, name: &str) -> Option<RememberedIdentity> {
    let text = folder.read(IDENTITIES, name)?;
    if text == OTHER {
        return Some(RememberedIdentity::Other);
    }
    let named = text.strip_prefix("protected ").map(str::trim_end);
    let named = named.filter(|name| !name.is_empty()).unwrap_or("unknown");
    Some(RememberedIdentity::Protected(named.to_owned()))
}

/// Remembers an identity; errors are ignored, the cache is optional.
pub(crate) fn remember(context: &Context, facts: &ServerInfo, what: &RememberedIdentity) {
    let folder = ProjectFolder::of(&context.config.root);
    let Some(identity) = facts.identity() else {
        return;
    };
    let text = match what {
        RememberedIdentity::Protected(environment) => format!("protected {environment}\n"),
        RememberedIdentity::Other => OTHER.to_owned(),
    };
    if folder.read(IDENTITIES, &identity.to_string()) != Some(text.clone()) {
        let _ = folder.write(IDENTITIES, &identity.to_string(), &text);
    }
}

fn remembered_of(folder: &ProjectFolder, environment: &str) -> Vec<DatabaseIdentity> {
    let wanted = RememberedIdentity::Protected(environment.to_owned());
    let names = folder.names(IDENTITIES).into_iter();
    names
        .filter(|name| memory(folder, name).as_ref() == Some(&wanted))
        .filter_map(|name| DatabaseIdentity::parse(&name))
        .collect()
}
