//! What the migration commands share: the files of the project, its history and journal, and the run identity.

use std::path::Path;

use anyhow::Result;

use crate::adopt::{self, Tool, detect, tool_history};
use crate::commands::Context;
use crate::error::fail;
use crate::finding::Finding;
use crate::migrate::checksum::Width;
use crate::migrate::files::{self, MigrationFolder};
use crate::migrate::history::{self, History, JournalMark};
use crate::migrate::job::RecordSettings;
use crate::migrate::journal::{self, RunIdentity, Unfinished};
use crate::migrate::status::{self, FolderStatus};
use crate::pg::session::Session;
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;

/// The migration records of a database.
pub(crate) struct HistoryAndJournal {
    pub(crate) history: History,
    pub(crate) unfinished: Vec<Unfinished>,
}

/// Lists the project's migrations, in whichever layout they are.
pub(crate) fn folder(context: &Context) -> Result<MigrationFolder> {
    let path = context.config.migrations();
    let shown = context.config.shown(&path);
    match layout(context)? {
        None => {
            let folder = files::list(&path, &shown)?;
            // A file with a name of af-db's layout that cannot be read is a better error than the layout of the others.
            let named = |finding: &Finding| finding.code == "migration-name";
            let is_theirs = !folder.findings.is_empty() && folder.findings.iter().all(named);
            if folder.migrations.is_empty() && is_theirs {
                refuse_theirs(&path, &shown)?;
            }
            Ok(folder)
        }
        Some(tool) => Ok(adopt::list(tool, &path, &shown)?.folder()),
    }
}

/// Refuses a directory with only migrations of other tools, instead of one error per file.
fn refuse_theirs(path: &Path, shown: &str) -> Result<()> {
    let tools = detect::tools(path);
    let tools: Vec<&str> = tools
        .iter()
        .filter(|tool| **tool != Tool::Refinery)
        .map(|tool| tool.word())
        .collect();
    let Some(first) = tools.first() else {
        return Ok(());
    };
    let in_place = match *first {
        "alembic" => String::new(),
        first => format!(
            ". To run them in place on a new database, set `migrations: {{ dir: {shown}, layout: {first} }}` in af-db.yaml"
        ),
    };
    Err(fail(format!(
        "{shown} contains migrations of {}, not of af-db",
        tools.join(" or ")
    ))
    .hint(format!(
        "Adopt them with their history: af-db adopt{in_place}"
    ))
    .into())
}

/// The tool whose layout the migrations have; none for af-db's own.
pub(crate) fn layout(context: &Context) -> Result<Option<Tool>> {
    match context.config.file.migrations.layout.as_deref() {
        None | Some("af-db") => Ok(None),
        Some(word) => Ok(Some(Tool::parse(word)?).filter(|tool| *tool != Tool::Refinery)),
    }
}

/// Reads history and journal, in two round trips.
pub(crate) async fn history_and_journal(
    context: &Context,
    session: &Session,
) -> Result<HistoryAndJournal> {
    let mut history = history::find(session, &history_name(context)?).await?;
    let has_journal = history.has_journal;
    let tenant = &context.config.tenant;
    let tenant = tenant.as_ref().map_or("", |tenant| &tenant.schema);
    let (read, unfinished) = futures_util::future::join(history.read(session), async {
        if has_journal {
            journal::unfinished(session, tenant).await
        } else {
            Ok(Vec::new())
        }
    })
    .await;
    read?;
    Ok(HistoryAndJournal {
        history,
        unfinished: unfinished?,
    })
}

/// Compares the history of the adopted tool with the adopted state.
pub(crate) async fn foreign(
    session: &Session,
    records: &HistoryAndJournal,
) -> Result<Vec<Finding>> {
    let nothing =
        || fail("no adopted tool found in this database").hint("Adopt a tool first: af-db adopt");
    if !records.history.has_journal {
        return Err(nothing().into());
    }
    let adopted = adopt::adopted_history::adopted(session)
        .await?
        .ok_or_else(nothing)?;
    let named = (&*adopted.found.schema, &*adopted.found.name);
    let tables = tool_history::find_history_tables(session, Some(named)).await?;
    if !tables
        .iter()
        .any(|table| (&*table.schema, &*table.name) == named)
    {
        let message = format!(
            "the history table of {} no longer exists",
            adopted.found.tool
        );
        let finding = Finding::note("foreign-gone", adopted.found.to_string(), message);
        return Ok(vec![finding]);
    }
    let record = tool_history::read(session, &adopted.found).await?;
    Ok(adopt::adopted_history::since(&adopted, &record))
}

/// Compares the files with what a database has recorded.
pub(crate) fn migration_status(
    context: &Context,
    folder: &MigrationFolder,
    records: &HistoryAndJournal,
) -> Result<FolderStatus> {
    let fresh = fresh_width(context, folder)?;
    Ok(status::compare(
        folder,
        &records.history,
        &records.unfinished,
        fresh,
    ))
}

/// The width of a new history table: as configured, else as the versions need.
pub(crate) fn fresh_width(context: &Context, folder: &MigrationFolder) -> Result<Width> {
    match context.config.file.migrations.history_width.as_deref() {
        Some("int4") => Ok(Width::Int4),
        Some("int8") => Ok(Width::Int8),
        Some(other) => Err(fail(format!(
            "`{other}` is not a valid width of the history table"
        ))
        .hint("Set migrations.history-width to int4 or int8")
        .into()),
        None => {
            let foreign = layout(context)?.is_some();
            let wide = foreign
                || folder
                    .migrations
                    .iter()
                    .any(|migration| i32::try_from(migration.version).is_err());
            Ok(if wide { Width::Int8 } else { Width::Int4 })
        }
    }
}

pub(crate) fn history_name(context: &Context) -> Result<ObjectName> {
    let name = context
        .config
        .file
        .migrations
        .history_table
        .as_deref()
        .unwrap_or("public.refinery_schema_history");
    let (schema, table) = name.split_once('.').unwrap_or(("public", name));
    if let Some(tenant) = &context.config.tenant {
        // Each tenant has its own history, in its own schema.
        return Ok(ObjectName::new(&tenant.schema, table));
    }
    if schema.is_empty() || table.is_empty() {
        return Err(fail(format!("`{name}` is not a table name"))
            .hint("Set migrations.history-table to schema.table")
            .into());
    }
    Ok(ObjectName::new(schema, table))
}

pub(crate) fn record_settings(
    context: &Context,
    history: &History,
    folder: &MigrationFolder,
) -> Result<RecordSettings> {
    let width = history.width(fresh_width(context, folder)?);
    Ok(RecordSettings {
        history: history.name.clone(),
        width,
        run: run(context),
    })
}

/// Who runs, and from which commit.
pub(crate) fn run(context: &Context) -> RunIdentity {
    let tenant = context.config.tenant.as_ref();
    let about = tenant.map(|tenant| format!("/{}", tenant.schema));
    RunIdentity {
        id: format!("{}{}", run_id(), about.unwrap_or_default()),
        actor: context.config.env.actor(),
        host: context.config.env.host(),
        git_commit: git_commit(&context.config.root),
        plan_sha256: None,
    }
}

/// The id of a run: the time, so that ids sort, and the process, so that concurrent runs differ.
fn run_id() -> String {
    let now = chrono::Utc::now();
    format!(
        "{}-{:04x}",
        now.format("%Y%m%dT%H%M%S%.6fZ"),
        std::process::id() & 0xffff
    )
}

/// Reads the commit of the checkout without running git.
fn git_commit(root: &Path) -> Option<String> {
    let git = root
        .ancestors()
        .map(|folder| folder.join(".git"))
        .find(|git| git.exists())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned());
    };
    if let Ok(commit) = std::fs::read_to_string(git.join(reference)) {
        return Some(commit.trim().to_owned());
    }
    let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    let line = packed.lines().find(|line| line.ends_with(reference))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Creates the history table and the journal if missing; another service may do the same concurrently.
pub(crate) async fn create_history_tables(
    session: &Session,
    ledger: &RecordSettings,
    history: &History,
) -> Result<()> {
    if history.table == history::HistoryTable::Missing {
        let create = history::create(&ledger.history, ledger.width);
        if let Err(error) = session.run(&create).await {
            // Of two concurrent CREATE TABLE IF NOT EXISTS the second fails on the type; the retry finds the table.
            let server = error.downcast_ref::<crate::pg::server_error::ServerError>();
            if !server.is_some_and(|server| server.is("23505") || server.is("42P07")) {
                return Err(error.context(format!("creating the history table {}", ledger.history)));
            }
            session.run(&create).await?;
        }
    }
    create_journal(session, history.has_journal).await?;
    begin_journal(session, ledger, history).await
}

/// Records the history rows from before the journal, and marks the history table, so that a lost journal is detected.
async fn begin_journal(
    session: &Session,
    ledger: &RecordSettings,
    history: &History,
) -> Result<()> {
    if history.mark == JournalMark::Present {
        return Ok(());
    }
    let tenant = ledger.run.tenant();
    if !history.rows.is_empty() && !journal::has_begun(session, tenant).await? {
        let open = Sql::fill(
            "BEGIN;\n{};\nCOMMIT",
            &[&journal::open(&ledger.run, &history.rows)],
        );
        if let Err(error) = session.run(&open).await {
            session.roll_back().await;
            return Err(error.context("starting the journal; nothing was applied"));
        }
    }
    // The next run retries.
    if history.mark == JournalMark::Absent
        && session.run(&history::mark(&history.name)).await.is_err()
    {
        session.roll_back().await;
    }
    Ok(())
}

/// Creates the journal if missing.
pub(crate) async fn create_journal(session: &Session, is_there: bool) -> Result<()> {
    if !is_there {
        let create = Sql::fill("BEGIN;\n{};\nCOMMIT", &[&journal::create()]);
        if let Err(error) = session.run(&create).await {
            session.roll_back().await;
            return Err(error.context("creating the journal in schema af_db"));
        }
    }
    Ok(())
}

/// Parses a duration of a flag or configuration key.
pub(crate) fn duration(name: &str, text: &str) -> Result<std::time::Duration> {
    crate::migrate::directive::duration(text).ok_or_else(|| {
        fail(format!("{name}: `{text}` is not a duration"))
            .hint("Use 500ms, 30s, 5min or 24h")
            .into()
    })
}

/// The lock timeout and budget: the flag, else the configuration, else the default.
pub(crate) fn lock_schedule(
    context: &Context,
    budget: Option<&str>,
) -> Result<crate::plan::lock_schedule::LockSchedule> {
    let mut schedule = crate::plan::lock_schedule::LockSchedule::default();
    let settings = &context.config.file.migrations;
    if let Some(cap) = &settings.lock_timeout {
        schedule.cap = duration("migrations.lock-timeout", cap)?;
    }
    if let Some(text) = &settings.lock_budget {
        schedule.budget = duration("migrations.lock-budget", text)?;
    }
    if let Some(text) = budget {
        schedule.budget = duration("--lock-budget", text)?;
    }
    if schedule.cap.is_zero() {
        return Err(fail("migrations.lock-timeout must not be 0")
            .hint("Set migrations.lock-timeout to 2s or less")
            .into());
    }
    Ok(schedule)
}

/// How long a run may block other sessions: the flag, else the configuration, else 30 s.
pub(crate) fn block_budget(context: &Context, flag: Option<&str>) -> Result<std::time::Duration> {
    let settings = &context.config.file.migrations;
    match (flag, settings.block_budget.as_deref()) {
        (Some(text), _) => duration("--block-budget", text),
        (None, Some(text)) => duration("migrations.block-budget", text),
        (None, None) => Ok(std::time::Duration::from_secs(30)),
    }
}

/// The UTC time as a migration version: `20260401120000`.
pub(crate) fn timestamp() -> i64 {
    let text = chrono::Utc::now().format("%Y%m%d%H%M%S").to_string();
    text.parse().expect("fourteen digits are a number")
}
