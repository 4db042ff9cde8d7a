//! `af-db restore`: restores a backup into a new database, replaces one with `--swap`, or tests it with `--drill`.

mod point_in_time;
mod restore_then_migrate;
mod tenant;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use chrono::Utc;
use serde::Serialize;

use crate::backup::archive::Archive;
use crate::backup::identity::{self, Lineages, NamedDatabase};
use crate::backup::mapping::Mapping;
use crate::backup::profile::Profile;
use crate::backup::restore::{self, Destination, Options, Times};
use crate::backup::store::Store;
use crate::backup::verification::{self, VerificationKind};
use crate::commands::archives::{
    self, ChosenArchive, Engine, EngineArgs, client_search_path, identities,
    refuse_unsupported_flags, seconds,
};
use crate::commands::hooks::{self, HookEnvironment};
use crate::commands::page::{Page, Tone, count};
use crate::commands::policies::{self, IsolationProof};
use crate::commands::{Context, Outcome, Purpose, Report, change::gate, project, protection};
use crate::drill::{self, Drill, DrillReport, SmokeResult};
use crate::error::{fail, refuse};
use crate::finding::{Finding, Severity, worst};
use crate::pg::target::Target;
use crate::sql::name::Ident;

/// Flags of `restore`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Backup name, path or URL, or `latest`
    #[arg(value_name = "ARCHIVE", default_value = "latest")]
    archive: String,
    /// Folder or URL of the store [default: backup.store, else ./backups]
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// Restore into a new database with this name on the same server
    #[arg(long, value_name = "NAME", conflicts_with = "drill")]
    into: Option<String>,
    /// Replace the database once the restored copy is verified; the old one is kept under another name
    #[arg(long, conflicts_with_all = ["into", "drill"])]
    swap: bool,
    /// Restore-test on a temporary server: restore, verify, report the times, remove
    #[arg(long)]
    drill: bool,
    /// Restore-test on this server instead of a temporary one
    #[arg(long, value_name = "URL", requires = "drill")]
    on: Option<String>,
    /// Decrypt with this age identity file; repeatable
    #[arg(long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
    /// Parallel restore connections [default: number of CPUs, at most 8]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// Make the restoring role the owner of all objects
    #[arg(long)]
    no_owner: bool,
    /// Create this role with its attributes (LOGIN, SUPERUSER, …) and memberships; repeatable [default: missing roles are
    /// created without any]
    #[arg(
        long = "role-attributes",
        value_name = "ROLE",
        conflicts_with = "no_owner"
    )]
    role_attributes: Vec<String>,
    /// Map ownership and grants of role OLD in the backup to role NEW on the server; repeatable
    #[arg(long = "map-role", value_name = "OLD=NEW")]
    map_roles: Vec<String>,
    /// Restore everything, a Supabase project into a new platform, or only your own schemas
    #[arg(long, value_name = "PROFILE", default_value = "plain", value_parser = Profile::NAMES)]
    profile: String,
    /// Unpack the dump into this folder [default: the system's temporary folder]
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// Also write the restore-test report to this file, as Markdown
    #[arg(long, value_name = "FILE", requires = "drill")]
    report: Option<PathBuf>,
    /// Tenant backup: delete the tenant's existing rows first, in the same transaction
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    point_in_time: point_in_time::PointInTimeArgs,
    #[command(flatten)]
    then_migrate: restore_then_migrate::ThenMigrateArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RestoreReport {
    archive: String,
    drill: bool,
    /// Migrations applied on top.
    #[serde(skip_serializing_if = "is_zero")]
    migrated: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_as: Option<String>,
    rows: u64,
    milliseconds: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    smoke: Vec<SmokeResult>,
    /// What two tenants could read of each other's rows, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Args {
    /// Refuses flags that pgBackRest does not support.
    fn refuse_flags_for_pgbackrest(&self) -> Result<()> {
        refuse_unsupported_flags(&[
            ("an archive", self.archive != "latest"),
            ("--from", self.from.is_some()),
            ("--into", self.into.is_some()),
            ("--swap", self.swap),
            ("--on", self.on.is_some()),
            ("--identity", !self.identities.is_empty()),
            ("--no-owner", self.no_owner),
            ("--map-role", !self.map_roles.is_empty()),
            ("--role-attributes", !self.role_attributes.is_empty()),
            ("--report", self.report.is_some()),
            ("--replace", self.replace),
            ("--to-history", self.then_migrate.to_history.is_some()),
            ("--migrate", self.then_migrate.migrate),
        ])
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if args.engine.engine == Engine::Pgbackrest {
        args.refuse_flags_for_pgbackrest()?;
        return point_in_time::run(&args.engine, &args.point_in_time, args.drill, context).await;
    }
    args.point_in_time.refuse_without_engine()?;
    let chosen = match args.then_migrate.to_history {
        Some(to) if args.archive == "latest" => {
            let store = archives::store(context, args.from.as_deref())?;
            restore_then_migrate::archive(context, store, &args.then_migrate, to).await?
        }
        _ => archives::choose(context, args.from.as_deref(), &args.archive).await?,
    };
    let (store, name) = (chosen.store.clone(), chosen.name.clone());
    let archive = store.archive(&name)?;
    restore_then_migrate::check(&args.then_migrate, &archive)?;
    refuse_swap_of_part(args, &archive)?;
    if archive.scope.tenant.is_some() && !args.drill && !args.swap && args.into.is_none() {
        return tenant::run(args, context, &store, &name).await;
    }
    let report = if args.drill {
        run_drill(args, context, &store, &name).await?
    } else {
        restore_archive(args, context, &chosen, &archive).await?
    };
    if let Some(path) = &args.report {
        std::fs::write(path, report.markdown())
            .with_context(|| format!("writing {}", path.display()))?;
    }
    context.show(&report)
}

/// Refuses a URL for `--into` without showing it: it may contain a password.
fn refuse_url(into: &str) -> Result<()> {
    if !into.contains("://") {
        return Ok(());
    }
    Err(
        fail("--into takes a database name, not a URL; nothing was restored")
            .hint("give the server with --database-url and the new database with --into NAME")
            .into(),
    )
}

/// Refuses to replace a whole database with a partial backup.
fn refuse_swap_of_part(args: &Args, archive: &Archive) -> Result<()> {
    match archive.scope.part() {
        Some(part) if args.swap => Err(refuse(format!(
            "backup `{}` contains only {part} and cannot replace a whole database; nothing was restored",
            archive.name
        ))
        .hint("restore it into a new database with --into NAME and copy what is needed")
        .into()),
        _ => Ok(()),
    }
}

/// The alternative to a restore where no one can confirm it.
const DRILL_HINT: &str = "to test the backup without changing this server: af-db restore --drill";

fn options(args: &Args, context: &Context, target: Target) -> Result<Options> {
    let processors = std::thread::available_parallelism().map_or(2, |number| number.get() as u32);
    Ok(Options {
        target,
        place: if args.swap {
            Destination::Swap
        } else {
            Destination::New
        },
        identities: identities(&args.identities)?,
        places: client_search_path(context)?,
        scratch: args.scratch(),
        jobs: args.jobs.unwrap_or(processors.clamp(1, 8)).max(1),
        no_owner: args.no_owner,
        role_attributes: args.role_attributes.iter().cloned().collect(),
        mapping: Mapping::parse(&args.map_roles)?,
        profile: Profile::parse(&args.profile)?,
    })
}

async fn restore_archive(
    args: &Args,
    context: &Context,
    chosen: &ChosenArchive,
    archive: &Archive,
) -> Result<RestoreReport> {
    let (store, name) = (&chosen.store, chosen.name.as_str());
    let database = &context.config.database;
    let target = database.writing().cloned();
    let mut target = match target {
        Some(target) => target,
        None => context.open(Purpose::Writing).await?.1,
    };
    if let Some(into) = &args.into {
        refuse_url(into)?;
        target = target.with_database(into);
    }
    restore::check_name(target.database())?;
    let hooks = &context.config.file.backup.hooks;
    let shown = store.shown();
    let told = HookEnvironment {
        database: target.database(),
        store: &shown,
        archive: Some(name),
    };
    let before = confirm(args, context, chosen, archive, &target).await?;
    hooks::before(context, ("before-restore", &hooks.before_restore), &told).await?;
    let options = options(args, context, target.clone())?;
    let mut restored =
        restore::run(&options, store, name, &context.watch(), &context.interrupt).await?;
    let is_in_place = args.into.is_none()
        || database
            .writing()
            .is_some_and(|of| of.database() == target.database());
    let mut migrated = 0;
    if restored.database.is_some() {
        let noted = verification::note(
            store,
            name,
            VerificationKind::Restored,
            Some(restored.times),
        );
        restored.findings.extend(noted);
        if is_in_place {
            protection::mark_restored(context, &target).await?;
            let now = NamedDatabase::at(&target, &context.watch()).await?;
            let noted = identity::note(store, archive, &now, before.oid);
            restored
                .findings
                .extend(verification::note_not_written(noted, name));
        }
        if args.then_migrate.migrate {
            migrated =
                restore_then_migrate::migrate(context, &target, args.then_migrate.to_history)
                    .await?;
        }
        let after = ("after-restore", hooks.after_restore.as_slice());
        let failed = hooks::after(context, after, &told).await?;
        restored.findings.extend(failed);
    }
    Ok(RestoreReport {
        archive: name.to_owned(),
        migrated,
        drill: false,
        database: restored.database,
        kept_as: restored.kept_as,
        rows: restored.archive.totals.rows,
        milliseconds: restored.times,
        target_milliseconds: None,
        smoke: Vec::new(),
        policies: None,
        findings: restored.findings,
    })
}

/// Asks for every confirmation that the restore needs; returns the database that has the target's name now.
async fn confirm(
    args: &Args,
    context: &Context,
    chosen: &ChosenArchive,
    archive: &Archive,
    target: &Target,
) -> Result<NamedDatabase> {
    let name = &chosen.name;
    let before = NamedDatabase::at(target, &context.watch()).await?;
    let origin = if args.swap {
        origin(archive, &before, &chosen.store)?
    } else {
        String::new()
    };
    let what = if args.swap {
        let age = archive.begun().map_or_else(String::new, |begun| {
            format!(" ({} old)", verification::hours(Utc::now() - begun))
        });
        format!(
            "replace database `{}` with backup {name}{age}{origin} and keep the current one under another name ",
            target.database()
        )
    } else {
        format!(
            "restore backup {name} into database `{}` ",
            target.database()
        )
    };
    protection::enter_server(context, target).await?;
    // A new database beside a protected one destroys nothing, though it may create roles, which are server-wide. Replacing a
    // database destroys data, and so may a restore into an existing platform.
    let takes = args.swap || Profile::parse(&args.profile)? != Profile::Plain;
    if takes && !gate::guards(context)?.is_empty() {
        let (session, _) = context.open(Purpose::Reading).await?;
        gate::backed_up(context, &session)?;
        session.close().await;
    }
    if args.swap {
        if !origin.is_empty() {
            if !chosen.is_named {
                return Err(refuse(format!(
                    "backup {name}{origin} belongs to a different database; nothing was restored"
                ))
                .hint("name the backup explicitly if you mean it")
                .into());
            }
            let warning = format!(
                "backup {name}{origin} belongs to a different database than the one it replaces"
            );
            context.terminal.warn(&warning);
        }
        gate::permit_anywhere(context, target, &what, DRILL_HINT)?;
    } else if takes {
        gate::permit(context, target, &what, DRILL_HINT)?;
    } else {
        gate::permit_beside(context, target, &what, DRILL_HINT)?;
    }
    Ok(before)
}

/// Returns which other database an archive belongs to; empty if it belongs to this one.
fn origin(archive: &Archive, database: &NamedDatabase, store: &Store) -> Result<String> {
    if Lineages::read(store, [archive])?.belongs(archive, database) {
        return Ok(String::new());
    }
    let server = &archive.server;
    let elsewhere = match (&server.system_identifier, &database.system_identifier) {
        (Some(theirs), Some(ours)) if theirs == ours => "on this server",
        (Some(_), Some(_)) => "on another server",
        _ => "on an unknown server",
    };
    Ok(format!(
        ", made from another database (`{}` {elsewhere}),",
        archive.database
    ))
}

async fn run_drill(
    args: &Args,
    context: &Context,
    store: &Store,
    name: &str,
) -> Result<RestoreReport> {
    let server = args
        .on
        .as_deref()
        .map(Target::parse)
        .transpose()
        .context("reading --on")?;
    if let Some(server) = &server {
        let there = context.at(server.clone());
        protection::enter_server(&there, server).await?;
        let what = format!("restore-test {name} in a new database, creating missing roles, ");
        gate::permit_beside(&there, server, &what, "omit --on")?;
    }
    let recovery = context.config.file.recovery.as_ref();
    let wanted =
        |name: &str, text: Option<&str>| text.map(|text| project::duration(name, text)).transpose();
    let target_time = wanted("recovery.time", recovery.and_then(|it| it.time.as_deref()))?;
    let target_point = wanted(
        "recovery.point",
        recovery.and_then(|it| it.point.as_deref()),
    )?;
    let tenancy = policies::tenancy(&context.config, None)?;
    let nowhere = Target::parse("postgres://localhost/postgres")?;
    let drill = Drill {
        restore: options(args, context, server.clone().unwrap_or(nowhere))?,
        server,
        embedded: context.config.embedded(None)?,
        smoke: &context.config.file.backup.smoke,
        target_time,
        target_point,
        tenancy: tenancy.as_ref(),
    };
    let drilled = drill::run(drill, store, name, &context.watch(), &context.interrupt).await?;
    let DrillReport {
        restored,
        smoke,
        policies,
        mut findings,
        ..
    } = drilled;
    let policies = policies.map(|read| match read {
        Ok((proof, tenancy)) => {
            let [a, b] = &tenancy.tenants;
            let proven = IsolationProof::of(proof, &tenancy);
            let words = format!("as the tenants `{a}` and `{b}`: {}", proven.words());
            findings.extend(proven.findings);
            words
        }
        Err(error) => {
            let message =
                format!("tenant isolation of the restored rows could not be probed: {error:#}");
            findings.push(Finding::warn("drill-policies", name, message));
            "as two tenants: not probed".to_owned()
        }
    });
    if worst(&findings) != Some(Severity::Error) && restored.database.is_some() {
        let noted = verification::note(
            store,
            name,
            VerificationKind::Restored,
            Some(restored.times),
        );
        findings.extend(noted);
    }
    Ok(RestoreReport {
        archive: name.to_owned(),
        migrated: 0,
        drill: true,
        database: None,
        kept_as: None,
        rows: restored.archive.totals.rows,
        milliseconds: restored.times,
        target_milliseconds: target_time.and_then(|time| u64::try_from(time.as_millis()).ok()),
        smoke,
        policies,
        findings,
    })
}

impl RestoreReport {
    fn is_verified(&self) -> bool {
        worst(&self.findings) != Some(Severity::Error)
    }

    fn phases(&self) -> [(&'static str, u64); 8] {
        let times = &self.milliseconds;
        [
            ("backup verified and unpacked", times.check),
            ("schema", times.schema),
            ("rows", times.data),
            ("indexes, constraints, policies", times.indexes),
            ("statistics", times.analyze),
            ("verification", times.prove),
            ("swap", times.swap),
            ("total", times.total),
        ]
    }

    fn verdict(&self) -> String {
        match (&self.database, self.drill, self.is_verified()) {
            (Some(database), _, false) => format!(
                "{} was restored into `{database}`, but the result differs from the backup",
                self.archive
            ),
            (Some(database), _, true) => format!(
                "{} restored into `{database}`; contents match the backup",
                self.archive
            ),
            (None, true, true) => {
                format!("{} restore-tested; contents match the backup", self.archive)
            }
            (None, true, false) => format!("{} failed its restore test", self.archive),
            (None, false, _) => format!(
                "{} was not restored: the result differs from the backup; nothing was changed",
                self.archive
            ),
        }
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# Drill of {}\n\n{}\n\n| phase | time |\n|---|---|\n",
            self.archive,
            self.verdict()
        );
        for (phase, time) in self.phases() {
            text.push_str(&format!("| {phase} | {} |\n", seconds(time)));
        }
        if let Some(target) = self.target_milliseconds {
            text.push_str(&format!("| target | {} |\n", seconds(target)));
        }
        if let Some(words) = &self.policies {
            text.push_str(&format!("\nTenant isolation, {words}\n"));
        }
        for smoke in &self.smoke {
            let answer = smoke.error.as_ref().or(smoke.answer.as_ref());
            text.push_str(&format!(
                "\n- `{}`: {}",
                smoke.query,
                answer.map_or("done", String::as_str)
            ));
        }
        for finding in &self.findings {
            text.push_str(&format!(
                "\n- **{}** {}: {}",
                finding.severity.word(),
                finding.subject,
                finding.message
            ));
        }
        text.push('\n');
        text
    }
}

impl Report for RestoreReport {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn human(&self, page: &mut Page) {
        let tone = if self.is_verified() {
            Tone::Good
        } else {
            Tone::Bad
        };
        page.toned(tone, self.verdict());
        let cell = |text: String| (Tone::Plain, text);
        let spent = self.phases().into_iter().filter(|(_, time)| *time > 0);
        let rows: Vec<_> = spent
            .map(|(phase, time)| vec![cell(format!("  {phase}")), cell(seconds(time))])
            .collect();
        page.table(&rows);
        if self.migrated > 0 {
            let applied = count(self.migrated, "migration", "migrations");
            page.line(format!("applied {applied} on top"));
        }
        if let Some(kept) = &self.kept_as {
            page.line(format!("the previous database is kept as `{kept}`; drop it when no longer needed: DROP DATABASE {}", Ident::new(kept.as_str())));
        }
        if let Some(words) = &self.policies {
            page.line(format!("tenant isolation, {words}"));
        }
        for smoke in self.smoke.iter().filter(|smoke| smoke.error.is_none()) {
            page.line(format!(
                "{} → {}",
                smoke.query,
                smoke.answer.as_deref().unwrap_or("done")
            ));
        }
    }
}
