//! `af-db backup` itself.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::backup::archive::{Archive, Scope};
use crate::backup::dump;
use crate::backup::tenant::export;
use crate::commands::archives::{
    EngineArgs, argument, bytes, places, refuse_unsupported_flags, seconds, store, tenant_column,
};
use crate::commands::hooks::{self, HookEnvironment};
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, fleet, project};
use crate::error::fail;
use crate::finding::Finding;
use crate::sql::name::ObjectName;

/// Flags of `backup`.
#[derive(clap::Args, Debug)]
pub(super) struct CreateArgs {
    /// Put the archive into this folder or URL instead of the one in af-db.yaml, else `backups`
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// Give the archive a name that people know it by
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Encrypt for this age recipient, a public key; may be given several times
    #[arg(long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// Back up this schema only; may be given several times
    #[arg(long = "schema", value_name = "NAME")]
    schemas: Vec<String>,
    /// Back up this table only, with its partitions; may be given several times
    #[arg(long = "table", value_name = "SCHEMA.NAME", conflicts_with = "schemas")]
    tables: Vec<String>,
    /// Back up every database of this fleet
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Export the rows of this tenant only, across all tables that hold some, as a script anybody can load
    #[arg(long, value_name = "ID", conflicts_with_all = ["schemas", "tables"])]
    tenant: Option<String>,
    /// Dump with this many sessions at once, each into a file of its own, all of one moment; below 1 GB one, else half as many as
    /// there are processors, at most 4, and no more than half of the sessions that are free
    #[arg(long, value_name = "NUMBER", conflicts_with = "tenant", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// Wait at most this long for a migration to end
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    /// Wait at most this long for a table that something is changing
    #[arg(long, value_name = "TIME", default_value = "10s")]
    lock_timeout: String,
    /// Give up when the dump stands still for this long
    #[arg(long, value_name = "TIME", default_value = "10min")]
    stall_timeout: String,
    /// Believe the sizes an object store tells instead of reading everything back before the archive counts
    #[arg(long)]
    no_read_back: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
    /// What pgBackRest is to make
    #[arg(long = "type", value_name = "TYPE", default_value = "incr", value_parser = ["full", "diff", "incr"])]
    pub(super) kind: String,
}

impl CreateArgs {
    /// Refuses what pgBackRest would not do.
    pub(super) fn refuse_own(&self) -> Result<()> {
        refuse_unsupported_flags(&[
            ("--recipient", !self.recipients.is_empty()),
            ("--to", self.to.is_some()),
            ("--label", self.label.is_some()),
            ("--schema", !self.schemas.is_empty()),
            ("--table", !self.tables.is_empty()),
            ("--tenant", self.tenant.is_some()),
            ("--jobs", self.jobs.is_some()),
        ])?;
        match &self.fleet {
            None => Ok(()),
            Some(_) => Err(fail(
                "pgBackRest backs up whole servers, not the databases of a fleet; nothing was done",
            )
            .hint("run it for each stanza, without --fleet")
            .into()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BackupReport {
    store: String,
    stored_bytes: u64,
    archive: Archive,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub(super) async fn run(args: &CreateArgs, context: &Context) -> Result<Outcome> {
    match &args.fleet {
        None => one(args, context).await,
        Some(path) => {
            let work = async |there: &Context| one(args, there).await;
            let each = fleet::MemberCommand {
                command: "backup",
                line: made,
                whole: true,
            };
            fleet::on_each(context, path, &each, work).await
        }
    }
}

/// Says which archive was made.
fn made(report: &serde_json::Value) -> Option<String> {
    let name = report["archive"]["name"].as_str()?;
    let size = report["stored-bytes"].as_u64()?;
    Some(format!("{name}, {}", bytes(size)))
}

async fn one(args: &CreateArgs, context: &Context) -> Result<Outcome> {
    if let Some(label) = &args.label
        && label.contains(char::is_control)
    {
        return Err(fail("a label is one line of text, nothing was dumped")
            .hint("leave out line breaks and the like")
            .into());
    }
    let store = store(context, args.to.as_deref())?;
    let recipients = match args.recipients.as_slice() {
        [] => context.config.file.backup.recipients.clone(),
        given => given.to_vec(),
    };
    let (session, target) = context.open(Purpose::Dumping).await?;
    session.close().await;
    let options = dump::Options {
        target,
        label: args.label.clone().filter(|label| !label.is_empty()),
        scope: Scope {
            schemas: args.schemas.clone(),
            tables: args
                .tables
                .iter()
                .map(|one| table(one))
                .collect::<Result<_>>()?,
            tenant: args.tenant.clone(),
        },
        history: project::history_name(context)?,
        recipients,
        places: places(context)?,
        jobs: args.jobs,
        wait: project::duration("--wait", &args.wait)?,
        lock_timeout: project::duration("--lock-timeout", &args.lock_timeout)?,
        stall_timeout: project::duration("--stall-timeout", &args.stall_timeout)?,
        read_back: !args.no_read_back,
    };
    let hooks = &context.config.file.backup.hooks;
    let (shown, database) = (store.shown(), options.target.database().to_owned());
    let mut told = HookEnvironment {
        database: &database,
        store: &shown,
        archive: None,
    };
    hooks::before(context, ("before-backup", &hooks.before_backup), &told).await?;
    let watch = context.watch();
    let archive = if args.tenant.is_some() {
        let column = tenant_column(context)?;
        export::run(&options, &column, &store, &watch, &context.interrupt).await?
    } else {
        dump::run(&options, &store, &watch, &context.interrupt).await?
    };
    told.archive = Some(&archive.name);
    let findings = hooks::after(context, ("after-backup", &hooks.after_backup), &told).await?;
    context.show(&BackupReport {
        store: store.shown(),
        stored_bytes: archive.stored_bytes(),
        archive,
        findings,
    })
}

/// Reads the name of a table as a person writes it.
fn table(text: &str) -> Result<String> {
    let name = ObjectName::parse(text).ok_or_else(|| {
        fail(format!(
            "`{text}` does not say which table, nothing was dumped"
        ))
        .hint("write SCHEMA.NAME; a name with a dot in it in quotes: '\"my.schema\".\"a table\"'")
    })?;
    Ok(name.to_string())
}

impl Report for BackupReport {
    fn command(&self) -> &'static str {
        "backup"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn human(&self, page: &mut Page) {
        let archive = &self.archive;
        page.toned(
            Tone::Good,
            format!("made {} in {}", archive.name, self.store),
        );
        let totals = &archive.totals;
        page.line(format!(
            "{}, {}, {}: {} of {} in {}",
            count(totals.tables as usize, "table", "tables"),
            count(totals.rows as usize, "row", "rows"),
            count(
                totals.large_objects as usize,
                "large object",
                "large objects"
            ),
            bytes(self.stored_bytes),
            bytes(totals.database_bytes),
            seconds(archive.milliseconds)
        ));
        if let Some(parts) = archive.dumps().ok().filter(|parts| parts.len() > 1) {
            page.line(format!(
                "dumped by {} sessions, each into its own part",
                parts.len()
            ));
        }
        if archive.recipients.is_empty() {
            page.line("not encrypted; --recipient encrypts it for an age key");
        }
        for line in &archive.not_included {
            page.toned(Tone::Warn, format!("not in it: {line}"));
        }
        match &archive.scope.tenant {
            Some(tenant) => page.line(format!(
                "it holds the rows of tenant {tenant}; bring them back: af-db restore {}",
                argument(&archive.name)
            )),
            None => page.line(format!(
                "try it: af-db restore --drill {}",
                argument(&archive.name)
            )),
        }
    }
}
