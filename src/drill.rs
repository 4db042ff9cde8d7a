//! The drill: restores a backup to a temporary database, verifies and times it, and drops the database.

#![allow(missing_docs, reason = "names that explain themselves need no comment")]

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tokio_postgres::SimpleQueryMessage;

use crate::backup::archive::Archive;
use crate::backup::identity;
use crate::backup::restore::{self, Destination, Restored};
use crate::backup::store::Store;
use crate::backup::verification;
use crate::event::{Interrupt, Watch, silent};
use crate::finding::Finding;
use crate::pg::connect;
use crate::pg::embedded;
use crate::pg::shadow_server;
use crate::pg::target::Target;
use crate::rls::prove::Proof;
use crate::rls::tenancy::Tenancy;
use crate::rls::{live_probe, tenants_with_rows};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// The parameters of a drill.
pub struct Drill<'a> {
    /// The target is the server to restore on, if given.
    pub restore: restore::Options,
    /// The server to drill on; by default a temporary one is started.
    pub server: Option<Target>,
    /// How temporary servers are started.
    pub embedded: embedded::Options,
    /// Queries on the restored database, each of which must succeed.
    pub smoke: &'a [String],
    /// The maximum duration of the restore.
    pub target_time: Option<Duration>,
    /// The recovery point objective: the maximum age of the backup.
    pub target_point: Option<Duration>,
    /// The identities of tenants, if configured: two tenants then read the restored rows.
    pub tenancy: Option<&'a Tenancy>,
}

/// A smoke query and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SmokeResult {
    pub query: String,
    /// The first value of its first row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub struct DrillReport {
    pub restored: Restored,
    pub smoke: Vec<SmokeResult>,
    /// Which restored rows two tenants could read of each other, with their identities; `None` without two tenants.
    pub policies: Option<Result<(Proof, Tenancy)>>,
    /// The problems of the restore and of the drill.
    pub findings: Vec<Finding>,
    /// The major version of the server used.
    pub server_major: u32,
}

/// Restores a backup on a temporary or given server, verifies it, and drops it again.
pub async fn run(
    drill: Drill<'_>,
    store: &Store,
    name: &str,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<DrillReport> {
    let archive = store.archive(name)?;
    let mut options = drill.restore;
    let mut started = None;
    let server = match drill.server {
        Some(server) => server,
        None => {
            let mut embedded = drill.embedded;
            embedded.major = Some(archive.major());
            let scratch = shadow_server::start(&embedded, watch)
                .await
                .context("starting a temporary server for the drill")?;
            let target = scratch.target("postgres")?;
            started = Some(scratch);
            target
        }
    };
    // On a server of our own the database keeps its name, unless the server needs the name itself; elsewhere, also on a
    // server from AF_DB_SHADOW_URL, it gets a name that cannot be mistaken for the real one.
    let is_own = started
        .as_ref()
        .is_some_and(|scratch| scratch.directory().is_some());
    let database = if is_own && archive.database != server.database() {
        archive.database.clone()
    } else {
        restore::leftovers::suffixed(&archive.database, &format!("_drill_{}", std::process::id()))
    };
    options.target = server.with_database(&database);
    options.place = Destination::New;
    let restored = restore::run(&options, store, name, watch, interrupt).await?;
    let mut findings = restored.findings.clone();
    let (mut smoke, mut policies) = (Vec::new(), None);
    if restored.database.is_some() {
        smoke = run_smoke_queries(&options.target, drill.smoke).await?;
        if let Some(tenancy) = drill.tenancy {
            policies = read_as_tenants(&options.target, tenancy).await.transpose();
        }
        if !is_own {
            remove(&server, &database).await?;
        }
    }
    findings.extend(smoke.iter().filter_map(smoke_finding));
    findings.extend(
        drill
            .target_time
            .and_then(|target| too_slow(&restored, target)),
    );
    findings.extend(
        drill
            .target_point
            .and_then(|target| too_old(&restored.archive, target)),
    );
    let server_major = started.map_or(archive.major(), |scratch| scratch.version_num() / 10_000);
    Ok(DrillReport {
        restored,
        smoke,
        policies,
        findings,
        server_major,
    })
}

async fn run_smoke_queries(target: &Target, queries: &[String]) -> Result<Vec<SmokeResult>> {
    let mut asked = Vec::new();
    for query in queries {
        let session = connect::open(target, &silent).await?;
        let answer = session.simple_query(&Sql::written_by_user(query)).await;
        let (answer, error) = match answer {
            Ok(messages) => (first_value(&messages), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        asked.push(SmokeResult {
            query: query.clone(),
            answer,
            error,
        });
        session.close().await;
    }
    Ok(asked)
}

fn first_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

fn smoke_finding(smoke: &SmokeResult) -> Option<Finding> {
    if let Some(error) = &smoke.error {
        let finding = Finding::error(
            "drill-smoke",
            &smoke.query,
            "the query failed on the restored database",
        );
        return Some(finding.detail(error));
    }
    let is_false = matches!(smoke.answer.as_deref(), Some("f" | "false"));
    is_false.then(|| {
        Finding::error(
            "drill-smoke",
            &smoke.query,
            "the query returned false on the restored database",
        )
    })
}

fn too_slow(restored: &Restored, target: Duration) -> Option<Finding> {
    let took = Duration::from_millis(restored.times.total);
    (took > target).then(|| {
        Finding::error(
            "drill-time",
            &restored.archive.name,
            format!("the restore took {} s, the target is {} s", took.as_secs(), target.as_secs()),
        )
        .help("use more connections with --jobs, a faster disk, or another recovery.time in af-db.yaml")
    })
}

/// Reports a backup that is older than the recovery point objective.
fn too_old(archive: &Archive, target: Duration) -> Option<Finding> {
    let started: DateTime<Utc> = archive.started.parse().ok()?;
    let old = Utc::now() - started;
    if identity::is_from_the_future(archive, Utc::now()) {
        return Some(identity::future_finding(archive));
    }
    let target = TimeDelta::from_std(target).ok()?;
    (old > target).then(|| {
        Finding::error(
            "drill-point",
            &archive.name,
            format!(
                "the backup is {} old, but recovery.point allows at most {}",
                verification::hours(old),
                verification::hours(target)
            ),
        )
        .help("run `af-db backup`, or change recovery.point in af-db.yaml")
    })
}

/// Reads the restored rows as two tenants that have rows; writes nothing.
async fn read_as_tenants(target: &Target, tenancy: &Tenancy) -> Result<Option<(Proof, Tenancy)>> {
    let session = connect::open(target, &silent).await?;
    let tenancy = tenants_with_rows::with_present_tenants(&session, tenancy).await?;
    if tenancy.tenants[0].is_empty() {
        session.close().await;
        return Ok(None);
    }
    let proof = live_probe::look(&session, &tenancy).await;
    session.close().await;
    Ok(Some((proof?, tenancy)))
}

async fn remove(server: &Target, database: &str) -> Result<()> {
    let session = connect::open(&server.with_database("postgres"), &silent).await?;
    let sql = Sql::fill(
        "DROP DATABASE IF EXISTS {} WITH (FORCE)",
        &[&Ident::new(database)],
    );
    session
        .run(&sql)
        .await
        .with_context(|| format!("dropping the drill's database `{database}`"))?;
    session.close().await;
    Ok(())
}
