//! Owns what the commands about migrations share: the project's files, its records in a database, who runs.

use std::path::Path;

use anyhow::Result;

use crate::adopt::{self, Tool, recognise, record};
use crate::commands::Context;
use crate::error::fail;
use crate::finding::Finding;
use crate::migrate::checksum::Width;
use crate::migrate::files::{self, MigrationFolder};
use crate::migrate::history::{self, History, JournalMark};
use crate::migrate::job::RecordSettings;
use crate::migrate::journal::{self, RunIdentity, Unfinished};
use crate::pg::session::Session;
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;

/// What stands in a database.
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
            // A file that is named as ours but cannot be read says more than what the others look like.
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

/// Refuses a folder in which nothing is ours and everything looks like another tool's, instead of naming each file.
fn refuse_theirs(path: &Path, shown: &str) -> Result<()> {
    let tools = recognise::tools(path);
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
            "; `migrations: {{ dir: {shown}, layout: {first} }}` in af-db.yaml runs them on a new database as they are"
        ),
    };
    Err(fail(format!(
        "{shown} holds migrations of {}, not of af-db",
        tools.join(" or ")
    ))
    .hint(format!(
        "af-db adopt takes them over, with the history of their database{in_place}"
    ))
    .into())
}

/// Gives the tool whose layout the migrations have; none where it is our own.
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

/// Says what the tool that was adopted from has done since.
pub(crate) async fn foreign(
    session: &Session,
    records: &HistoryAndJournal,
) -> Result<Vec<Finding>> {
    let nothing = || {
        fail("nothing was adopted here from another tool")
            .hint("take its history over: af-db adopt")
    };
    if !records.history.has_journal {
        return Err(nothing().into());
    }
    let adopted = adopt::books::adopted(session).await?.ok_or_else(nothing)?;
    let named = (&*adopted.found.schema, &*adopted.found.name);
    let tables = record::survey(session, Some(named)).await?;
    if !tables
        .iter()
        .any(|table| (&*table.schema, &*table.name) == named)
    {
        let message = format!("the history of {} is gone", adopted.found.tool);
        let finding = Finding::note("foreign-gone", adopted.found.to_string(), message);
        return Ok(vec![finding]);
    }
    let record = record::read(session, &adopted.found).await?;
    Ok(adopt::books::since(&adopted, &record))
}

/// Gives the width of a history that is not there yet: as configured, else as the numbers need.
pub(crate) fn fresh_width(context: &Context, folder: &MigrationFolder) -> Result<Width> {
    match context.config.file.migrations.history_width.as_deref() {
        Some("int4") => Ok(Width::Int4),
        Some("int8") => Ok(Width::Int8),
        Some(other) => Err(fail(format!("`{other}` is no width of a history"))
            .hint("set migrations.history-width to int4 or int8")
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

/// Gives the name of the history table.
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
        return Err(fail(format!("`{name}` is no name of a table"))
            .hint("set migrations.history-table to schema.table")
            .into());
    }
    Ok(ObjectName::new(schema, table))
}

/// Gives the records a run writes into.
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

/// Says who runs.
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

/// Names a run: the time, so that names sort, and what tells two at the same time apart.
fn run_id() -> String {
    let now = chrono::Utc::now();
    format!(
        "{}-{:04x}",
        now.format("%Y%m%dT%H%M%S%.6fZ"),
        std::process::id() & 0xffff
    )
}

/// Reads the commit a checkout stands at, without starting git.
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

/// Creates the records that are not there yet; another service may be doing the same.
pub(crate) async fn create_history_tables(
    session: &Session,
    ledger: &RecordSettings,
    history: &History,
) -> Result<()> {
    if history.table == history::HistoryTable::Missing {
        let create = history::create(&ledger.history, ledger.width);
        if let Err(error) = session.run(&create).await {
            // Two CREATE TABLE IF NOT EXISTS at once: the second fails on the type, and finds the table next time.
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

/// Records what a history held before its journal, and marks the history, so that a journal that is lost later is missed.
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
            return Err(error.context("beginning the journal; nothing was applied"));
        }
    }
    // Tried again by the next run where it does not succeed.
    if history.mark == JournalMark::Absent
        && session.run(&history::mark(&history.name)).await.is_err()
    {
        session.roll_back().await;
    }
    Ok(())
}

/// Creates the journal where it is not there yet.
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

/// Reads a duration of a flag or key.
pub(crate) fn duration(name: &str, text: &str) -> Result<std::time::Duration> {
    crate::migrate::directive::duration(text).ok_or_else(|| {
        fail(format!("{name}: `{text}` is not a duration"))
            .hint("write 500ms, 30s, 5min or 24h")
            .into()
    })
}

/// Gives how locks are asked for: the flag, else the file, else the default.
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
        return Err(fail("a lock timeout of nothing would wait for ever")
            .hint("set migrations.lock-timeout to 2s or less")
            .into());
    }
    Ok(schedule)
}

/// Gives how long others may wait for a run: the flag, else the file, else half a minute.
pub(crate) fn block_budget(context: &Context, flag: Option<&str>) -> Result<std::time::Duration> {
    let settings = &context.config.file.migrations;
    match (flag, settings.block_budget.as_deref()) {
        (Some(text), _) => duration("--block-budget", text),
        (None, Some(text)) => duration("migrations.block-budget", text),
        (None, None) => Ok(std::time::Duration::from_secs(30)),
    }
}

/// Gives the time in UTC as migrations are numbered by it: `20260401120000`.
pub(crate) fn timestamp() -> i64 {
    let text = chrono::Utc::now().format("%Y%m%d%H%M%S").to_string();
    text.parse().expect("fourteen digits are a number")
}
