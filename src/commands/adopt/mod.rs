//! `af-db adopt`: adopts the migrations and the history of another tool.

mod find;
mod writes;

use anyhow::Result;
use serde::Serialize;

use crate::adopt::convert::Converted;
use crate::adopt::tool_folder::ToolMigration;
use crate::adopt::tool_history::{HistoryRow, ToolHistoryTable};
use crate::adopt::{Tool, adopted_history, verify};
use crate::commands::page::{Page, count};
use crate::commands::{Context, Outcome, Purpose, Report, change::gate, project};
use crate::error::refuse;
use crate::finding::{Finding, Severity};
use crate::migrate::checksum::Width;
use crate::migrate::history::HistoryTable;
use crate::pg::lock::LockedSession;
use crate::pg::session::Session;

/// Flags of `adopt`.
///
/// Compares the database with the files on a shadow server, shows what would be written, and asks. The history table of
/// the other tool is never changed. To undo: drop the history table and the schema af_db of af-db, and remove
/// `migrations` from af-db.yaml; the other tool then works as before.
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Tool to adopt [default: detected from the files] [possible values: alembic, dbmate, diesel, flyway, golang-migrate,
    /// goose, graphile-migrate, node-pg-migrate, prisma, refinery, sqitch, sqlx, supabase]
    #[arg(long, value_name = "TOOL")]
    from: Option<String>,
    /// Directory of the tool's migrations [default: detected]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<String>,
    /// History table of the tool, as schema.table [default: the tool's usual name]
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Copy the files to the layout of af-db instead of using them in place (always for Alembic, rendered to SQL)
    #[arg(long)]
    convert: bool,
    /// Directory for the copies [default: migrations]
    #[arg(long, value_name = "FOLDER")]
    into: Option<String>,
    /// Adopt even if the database differs from the files
    #[arg(long)]
    accept_differences: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct AdoptReport {
    tool: String,
    folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    adopted: usize,
    pending: usize,
    written: Vec<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// The tool, its migrations and its history.
struct Adoption {
    tool_folder: find::ToolFolder,
    /// The tool's history table; none if it has not run on this database.
    found: Option<ToolHistoryTable>,
    /// The migrations, in place or as converted.
    entries: Vec<ToolMigration>,
    /// The migrations that the tool applied.
    rows: Vec<HistoryRow>,
    /// The converted files.
    converted: Option<Converted>,
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let wait = std::time::Duration::from_secs(30);
    let session = LockedSession::take(session, wait, &watch).await?;
    let adoption = find::subject(args, context, &session).await?;
    let (pairs, findings) = verify::pair(&adoption.entries, &adoption.rows);
    let mut findings: Vec<Finding> = adoption.findings.iter().cloned().chain(findings).collect();
    stop(&findings, "fixed before the migrations can be adopted")?;
    let books = project::history_and_journal(context, &session).await?;
    fresh(&adoption, &books, &session).await?;
    let applied: Vec<&ToolMigration> = pairs.iter().map(|(entry, _)| *entry).collect();
    let differences = differences(context, &session, &applied).await?;
    let different = differences.len();
    if args.accept_differences {
        findings.extend(differences.into_iter().map(accepted));
    } else {
        stop(
            &differences,
            "resolved: the database differs from the files",
        )?;
        findings.extend(differences);
    }
    let setting = writes::setting(context, args, &adoption)?;
    let pending = adoption.entries.len() - pairs.len();
    let applied = pairs.len();
    let lines = writes::describe(
        &adoption,
        &target,
        applied,
        pending,
        different,
        setting.as_ref(),
    );
    for line in lines {
        context.terminal.say(&line);
    }
    gate::confirm(context, &session, &target, "migrations will be adopted ").await?;
    if !context.config.database.is_protected() {
        context.confirm("Adopt the migrations?")?;
    }
    let mut written = writes::files(context, args, &adoption, setting)?;
    if let Some(found) = &adoption.found {
        let folder = writes::folder(&adoption);
        let mut ledger = project::record_settings(context, &books.history, &folder)?;
        if adoption.converted.is_none() && found.tool != Tool::Refinery {
            // Services with refinery cannot read this layout, and version numbers may grow.
            ledger.width = books.history.width(Width::Int8);
        }
        project::create_history_tables(&session, &ledger, &books.history).await?;
        let taken: Vec<adopted_history::AdoptedMigration<'_>> = pairs
            .iter()
            .map(|(entry, row)| adopted_history::AdoptedMigration { entry, row })
            .collect();
        let insert = books.history.rows.is_empty();
        adopted_history::write(&session, &ledger, found, &taken, insert).await?;
        written.push(format!("{} and af_db.journal", ledger.history));
    }
    session.close().await;
    context.show(&AdoptReport {
        tool: adoption.tool_folder.tool.to_string(),
        folder: adoption.tool_folder.shown,
        table: adoption.found.map(|found| found.to_string()),
        adopted: pairs.len(),
        pending,
        written,
        findings,
    })
}

/// Refuses if there are errors, and lists all of them.
fn stop(findings: &[Finding], what: &str) -> Result<()> {
    let wrong: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .cloned()
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let errors = count(wrong.len(), "error", "errors");
    Err(
        refuse(format!("{errors} must be {what}; nothing was written"))
            .findings(wrong)
            .into(),
    )
}

/// Refuses a tool that is already adopted.
async fn fresh(
    adoption: &Adoption,
    books: &project::HistoryAndJournal,
    session: &Session,
) -> Result<()> {
    let ours = adoption
        .found
        .as_ref()
        .is_some_and(|found| found.tool == Tool::Refinery);
    let adopted = if books.history.has_journal {
        adopted_history::adopted(session).await?
    } else {
        None
    };
    if let Some(adopted) = adopted {
        return Err(refuse(format!(
            "{} is already adopted; nothing was written",
            adopted.found
        ))
        .hint("To check whether that tool has run since: af-db status --foreign")
        .into());
    }
    let has_rows =
        matches!(books.history.table, HistoryTable::Present(_)) && !books.history.rows.is_empty();
    if has_rows && !ours && adoption.found.is_some() {
        return Err(refuse(format!(
            "{} already has rows; nothing was written",
            books.history.name
        ))
        .hint("This database is managed by af-db or refinery: see af-db status")
        .into());
    }
    Ok(())
}

/// Compares the database with the applied files, replayed on a shadow server.
async fn differences(
    context: &Context,
    session: &Session,
    applied: &[&ToolMigration],
) -> Result<Vec<Finding>> {
    let found = crate::adopt::tool_history::find_history_tables(session, None).await?;
    let scratch = context.scratch(Some(session)).await?;
    verify::compare(&scratch, session, applied, &found, &context.watch()).await
}

fn accepted(mut finding: Finding) -> Finding {
    finding.severity = finding.severity.min(Severity::Warn);
    finding
}

impl Report for AdoptReport {
    fn command(&self) -> &'static str {
        "adopt"
    }

    fn human(&self, page: &mut Page) {
        page.line(format!(
            "adopted {} ({}): {} applied, {} pending",
            self.folder, self.tool, self.adopted, self.pending
        ));
        for written in &self.written {
            page.line(format!("wrote {written}"));
        }
        page.gap();
        page.line("next: af-db status");
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
