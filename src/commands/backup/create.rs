//! `af-db backup` without a subcommand.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::backup::archive::{Archive, Scope};
use crate::backup::dump;
use crate::backup::tenant::export;
use crate::commands::archives::{
    EngineArgs, argument, bytes, client_search_path, refuse_unsupported_flags, seconds, store,
    tenant_column,
};
use crate::commands::hooks::{self, HookEnvironment};
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, fleet, project};
use crate::error::fail;
use crate::finding::Finding;
use crate::sql::name::ObjectName;

#[derive(clap::Args, Debug)]
pub(super) struct CreateArgs {
    /// Store the backup in this folder or URL [default: backup.store, else ./backups]
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// Attach a label to the backup
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Encrypt for this age recipient (public key); repeatable
    #[arg(long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// Back up only this schema; repeatable
    #[arg(long = "schema", value_name = "NAME")]
    schemas: Vec<String>,
    /// Back up only this table and its partitions; repeatable
    #[arg(long = "table", value_name = "SCHEMA.NAME", conflicts_with = "schemas")]
    tables: Vec<String>,
    /// Back up every database of this fleet
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Export only this tenant's rows, from all tables, as a plain SQL script
    #[arg(long, value_name = "ID", conflicts_with_all = ["schemas", "tables"])]
    tenant: Option<String>,
    /// Parallel dump connections, sharing one snapshot [default: 1 below 1 GB, else CPUs/2, at most 4 and half of the free
    /// connections]
    #[arg(long, value_name = "NUMBER", conflicts_with = "tenant", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
    /// Maximum wait for a running migration
    #[arg(long, value_name = "TIME", default_value = "30s")]
    wait: String,
    /// Maximum wait for a table lock
    #[arg(long, value_name = "TIME", default_value = "10s")]
    lock_timeout: String,
    /// Abort if the dump makes no progress for this long
    #[arg(long, value_name = "TIME", default_value = "10min")]
    stall_timeout: String,
    /// Skip read-back verification after upload; trust reported object sizes
    #[arg(long)]
    no_read_back: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
    /// pgBackRest: type of the backup
    #[arg(long = "type", value_name = "TYPE", default_value = "incr", value_parser = ["full", "diff", "incr"])]
    pub(super) kind: String,
}

impl CreateArgs {
    /// Refuses flags that pgBackRest does not support.
    pub(super) fn refuse_flags_for_pgbackrest(&self) -> Result<()> {
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

/// Returns the line that a fleet run shows for this backup.
fn made(report: &serde_json::Value) -> Option<String> {
    let name = report["archive"]["name"].as_str()?;
    let size = report["stored-bytes"].as_u64()?;
    Some(format!("{name}, {}", bytes(size)))
}

async fn one(args: &CreateArgs, context: &Context) -> Result<Outcome> {
    if let Some(label) = &args.label
        && label.contains(char::is_control)
    {
        return Err(
            fail("the label must be one line of text; nothing was dumped")
                .hint("remove line breaks and control characters")
                .into(),
        );
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
        places: client_search_path(context)?,
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

fn table(text: &str) -> Result<String> {
    let name = ObjectName::parse(text).ok_or_else(|| {
        fail(format!("`{text}` is not a table name; nothing was dumped")).hint(
            "write SCHEMA.NAME; a name with a dot in it in quotes: '\"my.schema\".\"a table\"'",
        )
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
            format!("backup {} created in {}", archive.name, self.store),
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
                "dumped over {} connections, one part each",
                parts.len()
            ));
        }
        if archive.recipients.is_empty() {
            page.line("not encrypted; encrypt for an age key with --recipient");
        }
        for line in &archive.not_included {
            page.toned(Tone::Warn, format!("not included: {line}"));
        }
        match &archive.scope.tenant {
            Some(tenant) => page.line(format!(
                "contains the rows of tenant {tenant}; restore them: af-db restore {}",
                argument(&archive.name)
            )),
            None => page.line(format!(
                "test the restore: af-db restore --drill {}",
                argument(&archive.name)
            )),
        }
    }
}
