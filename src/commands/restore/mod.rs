//! `af-db restore`: puts an archive back into a new database or in another's place; `--drill` only tries it.

mod point_in_time;
mod restore_then_migrate;
mod tenant;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::backup::archive::Archive;
use crate::backup::identity::{self, Lineages, NamedDatabase};
use crate::backup::mapping::Mapping;
use crate::backup::profile::Profile;
use crate::backup::restore::{self, Destination, Options, Times};
use crate::backup::store::Store;
use crate::backup::verification::{self, VerificationKind};
use crate::commands::archives::{
    self, ChosenArchive, Engine, EngineArgs, identities, places, refuse_unsupported_flags, seconds,
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
    /// The archive, or `latest`
    #[arg(value_name = "ARCHIVE", default_value = "latest")]
    archive: String,
    /// The folder or URL it is in; that of af-db.yaml, else `backups`
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// Restore into a new database of this name on the same server
    #[arg(long, value_name = "NAME", conflicts_with = "drill")]
    into: Option<String>,
    /// Build beside the database governed and take its place once proven; asks first, --yes answers; the old one is kept under
    /// another name
    #[arg(long, conflicts_with_all = ["into", "drill"])]
    swap: bool,
    /// Restore on a throwaway server, prove it, report the time, remove it
    #[arg(long)]
    drill: bool,
    /// Drill on this server instead of a throwaway one
    #[arg(long, value_name = "URL", requires = "drill")]
    on: Option<String>,
    /// Read an encrypted archive with the keys of this age identity file
    #[arg(long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
    /// Load with this many sessions at once; as many as there are processors, at most 8
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// Let everything belong to the role that restores
    #[arg(long)]
    no_owner: bool,
    /// Create this role of the archive with its attributes (LOGIN, SUPERUSER, …) and memberships; may be given several times
    /// [default: missing roles are created without any]
    #[arg(
        long = "role-attributes",
        value_name = "ROLE",
        conflicts_with = "no_owner"
    )]
    role_attributes: Vec<String>,
    /// Give what belongs or is granted to role OLD of the archive to role NEW of the server; may be given several times
    #[arg(long = "map-role", value_name = "OLD=NEW")]
    map_roles: Vec<String>,
    /// Restore this part: everything, a Supabase project onto a fresh platform, or your own schemas without the platform's
    #[arg(long, value_name = "PROFILE", default_value = "plain", value_parser = Profile::NAMES)]
    profile: String,
    /// Unpack the dump into this folder instead of the system's for temporary files
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// Write the drill's report into this file as well, as Markdown
    #[arg(long, value_name = "FILE", requires = "drill")]
    report: Option<PathBuf>,
    /// With the archive of a tenant: remove the rows of the tenant that are there first, in the same transaction
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
    /// What two tenants could read of each other's rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Args {
    /// Refuses what pgBackRest would not do.
    fn refuse_own(&self) -> Result<()> {
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
        args.refuse_own()?;
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

/// Refuses an address where a name is wanted; it may hold a password and is not shown.
fn refuse_url(into: &str) -> Result<()> {
    if !into.contains("://") {
        return Ok(());
    }
    Err(
        fail("--into takes the name of a database, not an address; nothing was restored")
            .hint("name the server with --database-url and the new database with --into NAME")
            .into(),
    )
}

/// Refuses to put a part of a database in the place of the whole.
fn refuse_swap_of_part(args: &Args, archive: &Archive) -> Result<()> {
    match archive.scope.part() {
        Some(part) if args.swap => Err(refuse(format!(
            "the archive `{}` holds only {part}: in the place of a whole database it would take the rest away; nothing was restored",
            archive.name
        ))
        .hint("restore it beside with --into NAME and take from there what is needed")
        .into()),
        _ => Ok(()),
    }
}

/// What leads to the rows of an archive where no person can be asked.
const DRILL_HINT: &str = "to see what is in it without changing this server: af-db restore --drill";

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
        places: places(context)?,
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

/// Asks a person what has to be asked before the target is restored into; gives which database stands there now.
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
        format!(
            "put {name}{origin} in the place of `{}` ",
            target.database()
        )
    } else {
        format!("restore {name} into `{}` ", target.database())
    };
    protection::enter_server(context, target).await?;
    // A new database beside a protected one takes nothing away, but roles are the whole server's; taking its place does, and
    // so may going onto a platform.
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
                    "{name}{origin} is not of the database it would replace; nothing was restored"
                ))
                .hint("name the archive, if it is the one that is meant")
                .into());
            }
            let warning = format!("{name}{origin} is not of the database it is to replace");
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

/// Says of which other database an archive is, where it is not of this one.
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
        ", made of another database (`{}` {elsewhere}),",
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
        let what = format!("drill {name} in a database of its own, with the roles it needs, ");
        gate::permit_beside(&there, server, &what, "leave out --on")?;
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
            let message = format!("the restored rows could not be read as two tenants: {error:#}");
            findings.push(Finding::warn("drill-policies", name, message));
            "as two tenants: not tried".to_owned()
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
    fn is_proven(&self) -> bool {
        worst(&self.findings) != Some(Severity::Error)
    }

    fn phases(&self) -> [(&'static str, u64); 8] {
        let times = &self.milliseconds;
        [
            ("archive checked and unpacked", times.check),
            ("schema", times.schema),
            ("rows", times.data),
            ("indexes, constraints, policies", times.indexes),
            ("statistics", times.analyze),
            ("proof", times.prove),
            ("swap", times.swap),
            ("total", times.total),
        ]
    }

    fn verdict(&self) -> String {
        match (&self.database, self.drill, self.is_proven()) {
            (Some(database), _, false) => format!(
                "{} was loaded into `{database}`, and what came of it differs",
                self.archive
            ),
            (Some(database), _, true) => format!(
                "{} is restored into `{database}` and proven equal",
                self.archive
            ),
            (None, true, true) => format!("{} restores and is proven equal", self.archive),
            (None, true, false) => format!("{} failed its drill", self.archive),
            (None, false, _) => format!(
                "{} was not restored: what came of it differs; nothing was changed",
                self.archive
            ),
        }
    }

    /// Writes the report of a drill for those who keep such things.
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
            text.push_str(&format!("\nRead {words}\n"));
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
        let tone = if self.is_proven() {
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
            page.line(format!("the old database is kept as `{kept}`; when it is not needed any more: DROP DATABASE {}", Ident::new(kept.as_str())));
        }
        if let Some(words) = &self.policies {
            page.line(format!("read {words}"));
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
