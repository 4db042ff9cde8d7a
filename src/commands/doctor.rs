//! `af-db doctor`: checks the local environment and suggests fixes.

use anyhow::Result;
use serde::Serialize;

use crate::backup::clients::{self, ClientSearchPath};
use crate::backup::pgbackrest::archiving;
use crate::backup::restore::leftovers;
use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Report, archives, embedded};
use crate::error::hint_of;
use crate::event::silent;
use crate::finding::{Finding, Severity};
use crate::pg::connect;
use crate::pg::dev;
use crate::pg::embedded::find::OLDEST_MAJOR;
use crate::pg::embedded::sandbox;
use crate::pg::embedded::{self as embedded_server, Availability};
use crate::pg::pooler;
use crate::pg::server_info::{self, PoolMode};
use crate::pg::session::Session;
use crate::pg::shadow_server::UNCONFINED;
use crate::pg::target::{SslMode, Target};

/// Flags of `doctor`.
#[derive(clap::Args, Debug)]
pub struct Args {}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DoctorReport {
    checks: Vec<Check>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Check {
    name: &'static str,
    state: CheckState,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum CheckState {
    #[serde(rename = "good")]
    Ok,
    #[serde(rename = "weak")]
    Warning,
    #[serde(rename = "missing")]
    Error,
}

impl Check {
    fn ok(name: &'static str, says: impl Into<String>) -> Self {
        Check {
            name,
            state: CheckState::Ok,
            says: says.into(),
            remedy: None,
        }
    }

    fn warning(name: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check {
            name,
            state: CheckState::Warning,
            says: says.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn error(name: &'static str, error: &anyhow::Error) -> Self {
        Check {
            name,
            state: CheckState::Error,
            says: format!("{error:#}"),
            remedy: hint_of(error).map(str::to_owned),
        }
    }

    fn finding(&self) -> Option<Finding> {
        let severity = match self.state {
            CheckState::Ok => return None,
            CheckState::Warning => Severity::Warn,
            CheckState::Error => Severity::Error,
        };
        let code = format!("doctor-{}", self.name.replace(' ', "-"));
        let mut finding = Finding::new(severity, code, self.name, &self.says);
        finding.help.clone_from(&self.remedy);
        Some(finding)
    }
}

/// Runs the command.
pub async fn run(_: &Args, context: &Context) -> Result<Outcome> {
    let mut checks = vec![configuration(context)];
    let mut major = None;
    match &context.config.database.target {
        None => checks.push(development_server(context)?),
        Some(target) => match connect::open(target, &silent).await {
            Err(error) => checks.push(Check::error("server", &error)),
            Ok(session) => {
                major = u32::try_from(session.server_info().major()).ok();
                checks.extend(server(&session, target).await?);
                session.close().await;
            }
        },
    }
    if let Some(direct) = &context.config.database.direct {
        checks.push(direct_server(direct).await);
    }
    checks.extend(half_written(context));
    checks.push(client_programs(context, major).await?);
    checks.push(embedded_postgresql(context, major).await?);
    let findings = checks.iter().filter_map(Check::finding).collect();
    context.show(&DoctorReport { checks, findings })
}

fn configuration(context: &Context) -> Check {
    match &context.config.path {
        Some(path) => Check::ok("configuration", context.config.shown(path)),
        None => Check::ok("configuration", "no af-db.yaml, using defaults"),
    }
}

fn development_server(context: &Context) -> Result<Check> {
    let place = embedded::place(context);
    Ok(match dev::status(&place)? {
        Some(running) => Check::ok(
            "server",
            format!(
                "no database configured; local server is running, PostgreSQL {}",
                running.access.server
            ),
        ),
        None => Check::ok(
            "server",
            "no database configured; the local server starts when needed",
        ),
    })
}

async fn server(session: &Session, target: &Target) -> Result<Vec<Check>> {
    let facts = session.server_info();
    let mut checks = vec![Check::ok(
        "server",
        format!("PostgreSQL {} at {target}", facts.version),
    )];
    checks.push(rights(session));
    checks.push(pooling(session, target).await);
    checks.push(tls(session, target).await?);
    checks.extend(pgbackrest(session).await);
    checks.extend(half_restored(session).await?);
    checks.extend(kept(session).await?);
    Ok(checks)
}

/// Lists the incomplete databases of interrupted restores.
async fn half_restored(session: &Session) -> Result<Option<Check>> {
    let left = leftovers::list(session).await?;
    Ok((!left.is_empty()).then(|| {
        Check::warning(
            "interrupted restore",
            format!("incomplete databases: {}", left.join(", ")),
            "drop them, or let the next restore on this server remove them",
        )
    }))
}

/// Lists the databases that restores replaced and kept.
async fn kept(session: &Session) -> Result<Option<Check>> {
    let kept = leftovers::kept_databases(session).await?;
    let named =
        |one: &leftovers::KeptDatabase| format!("{} ({})", one.name, archives::size_and_age(one));
    let names: Vec<String> = kept.iter().map(named).collect();
    Ok((!names.is_empty()).then(|| {
        let says = format!(
            "kept by restores: {}; remove with DROP DATABASE when no longer needed",
            names.join(", ")
        );
        Check::ok("replaced databases", says)
    }))
}

/// Lists the incomplete backups of interrupted runs.
fn half_written(context: &Context) -> Option<Check> {
    let store = archives::store(context, None).ok()?;
    let left = store.partial().ok()?;
    (!left.is_empty()).then(|| {
        Check::warning(
            "interrupted backup",
            format!(
                "incomplete backups in {}: {}",
                store.shown(),
                left.join(", ")
            ),
            "the next backup to this store removes them",
        )
    })
}

/// None where the server does not archive with pgBackRest.
async fn pgbackrest(session: &Session) -> Option<Check> {
    let name = "pgbackrest";
    match archiving::check(session).await {
        Ok(standing) => standing.map(|standing| match standing.remedy {
            None => Check::ok(name, standing.says),
            Some(remedy) => Check::warning(name, standing.says, remedy),
        }),
        Err(error) => Some(Check::error(name, &error)),
    }
}

fn rights(session: &Session) -> Check {
    let facts = session.server_info();
    let role = &facts.role;
    if let Err(failure) = server_info::refuse_replica(facts) {
        return Check::error("rights", &failure.into());
    }
    if facts.read_only {
        return Check::warning(
            "rights",
            format!("`{role}` has read-only transactions"),
            "ALTER ROLE … SET default_transaction_read_only = off, or migrate with another role",
        );
    }
    if !facts.creates_schemas {
        return Check::warning(
            "rights",
            format!("`{role}` cannot create schemas in `{}`", facts.database),
            format!(
                "GRANT CREATE ON DATABASE {} TO {}",
                quoted(&facts.database),
                quoted(role)
            ),
        );
    }
    let mut may = vec!["create schemas"];
    if facts.create_role {
        may.push("create roles");
    }
    if facts.create_database {
        may.push("create databases");
    }
    if facts.bypass_rls {
        may.push("bypass row-level security");
    }
    if facts.superuser {
        return Check::ok("rights", format!("`{role}` is a superuser"));
    }
    Check::ok("rights", format!("`{role}` can {}", may.join(", ")))
}

fn quoted(name: &str) -> String {
    crate::sql::name::Ident::new(name).to_string()
}

async fn pooling(session: &Session, target: &Target) -> Check {
    match pooler::mode(session, target).await {
        Ok(PoolMode::Direct) => Check::ok("pooler", "none"),
        Ok(PoolMode::Session) => Check::ok("pooler", "session mode: migrations work"),
        Ok(PoolMode::Transaction | PoolMode::Statement) => Check::warning(
            "pooler",
            "connected through a transaction pooler: read-only commands work, migrations do not",
            "set direct-url (or DIRECT_URL) to the server",
        ),
        Err(error) => Check::error("pooler", &error),
    }
}

async fn tls(session: &Session, target: &Target) -> Result<Check> {
    if target.hosts.iter().all(crate::pg::target::Host::is_socket) {
        return Ok(Check::ok("tls", "not needed: local socket"));
    }
    let sql =
        "SELECT ssl, version FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";
    let rows = session.query(sql, &[]).await?;
    let encrypted = rows.first().is_some_and(|row| row.get::<_, bool>(0));
    let local = target
        .hosts
        .iter()
        .all(|host| matches!(host.name.as_str(), "localhost" | "127.0.0.1" | "::1"));
    let mode = target.tls.mode;
    Ok(match (encrypted, local) {
        (true, _) if mode >= SslMode::VerifyCa => {
            let version: Option<String> = rows[0].get(1);
            let version = version.unwrap_or_default();
            Check::ok("tls", format!("{version}, certificate verified"))
        }
        (_, true) => Check::ok("tls", "not needed: local connection"),
        (true, false) => Check::warning(
            "tls",
            format!(
                "encrypted, but sslmode={} does not verify the server certificate",
                mode.name()
            ),
            "add sslmode=verify-full to the connection URL, and sslrootcert for a private CA",
        ),
        (false, false) => Check::warning(
            "tls",
            "connection is not encrypted (or a pooler hides it)",
            "add sslmode=verify-full to the connection URL",
        ),
    })
}

async fn direct_server(direct: &Target) -> Check {
    match connect::open(direct, &silent).await {
        Err(error) => Check::error("direct server", &error),
        Ok(session) => match pooler::require_session(&session, direct).await {
            Ok(_) => Check::ok("direct server", format!("connected to {direct}")),
            Err(error) => Check::error("direct server", &error),
        },
    }
}

/// Missing client tools are a warning: a project may not need backups.
async fn client_programs(context: &Context, major: Option<u32>) -> Result<Check> {
    let options = context.config.embedded(major)?;
    let places = ClientSearchPath {
        named: options.binaries,
        path: options.path,
    };
    let found = clients::search(&places).await?;
    let least = major
        .or_else(|| dev::major(&embedded::place(context)))
        .unwrap_or(OLDEST_MAJOR);
    Ok(match clients::for_dump(&found, least) {
        Ok(clients) => Check::ok(
            "client tools",
            format!(
                "pg_dump {} in {}",
                clients.version,
                clients.directory.display()
            ),
        ),
        Err(error) => Check::warning(
            "client tools",
            format!("{error:#}; backup and restore do not work"),
            hint_of(&error).unwrap_or("install the PostgreSQL client tools"),
        ),
    })
}

async fn embedded_postgresql(context: &Context, major: Option<u32>) -> Result<Check> {
    let name = "embedded postgresql";
    let options = context.config.embedded(major)?;
    if let Some(server) = &options.shadow_server {
        return Ok(match connect::open(server, &silent).await {
            Ok(_) => Check::warning(
                name,
                format!("AF_DB_SHADOW_URL is {server}; {UNCONFINED}"),
                "unset AF_DB_SHADOW_URL to let af-db start a shadow server, or use a server without other databases",
            ),
            Err(error) => Check::error(name, &error.context("connecting to AF_DB_SHADOW_URL")),
        });
    }
    Ok(match embedded_server::availability(&options).await {
        Ok(Availability::Here(choice)) if choice.instead_of.is_none() => {
            let wanted = sandbox::SandboxSpec {
                binaries: &choice.binaries,
                scratch_dir: &std::env::temp_dir(),
                allowed: &options.allowed,
            };
            match sandbox::prepare(&wanted) {
                Ok(_) => Check::ok(name, choice.why()),
                Err(reason) => Check::warning(
                    name,
                    format!(
                        "{}; SQL on the shadow server is not sandboxed: {reason}",
                        choice.why()
                    ),
                    "review migrations before running plan or validate here, or run them on Linux 5.13 or later",
                ),
            }
        }
        Ok(Availability::Here(choice)) => Check::warning(
            name,
            choice.why(),
            "unset AF_DB_ALLOW_MAJOR_MISMATCH to use only the major version of the server",
        ),
        Ok(Availability::ToFetch(version)) => Check::ok(
            name,
            format!("PostgreSQL {version} will be downloaded when first needed"),
        ),
        Err(error) => Check::error(name, &error),
    })
}

impl Report for DoctorReport {
    fn command(&self) -> &'static str {
        "doctor"
    }

    fn human(&self, page: &mut Page) {
        let row = |check: &Check| {
            let (tone, word) = match check.state {
                CheckState::Ok => (Tone::Good, "ok"),
                CheckState::Warning => (Tone::Warn, "warning"),
                CheckState::Error => (Tone::Bad, "error"),
            };
            let says = check.says.lines().next().unwrap_or_default();
            vec![
                (tone, word.to_owned()),
                (Tone::Strong, check.name.to_owned()),
                (Tone::Plain, says.to_owned()),
            ]
        };
        let rows: Vec<_> = self.checks.iter().map(row).collect();
        page.table(&rows);
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
