//! `af-db adopt`: takes over a database and a folder that another tool migrates, its history included.

mod find;
mod writes;

use anyhow::Result;
use serde::Serialize;

use crate::adopt::convert::Converted;
use crate::adopt::folder::Entry;
use crate::adopt::record::{Found, Row};
use crate::adopt::{Tool, books, proof};
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
/// Looks at the folder and the database, proves on a scratch server that the database is what the files say, shows
/// what it would write, and asks. The other tool's table is never written. The way back: drop our history table and
/// the schema af_db, and take `migrations` out of af-db.yaml; the other tool then goes on where it was.
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The tool, where the files do not tell: alembic, dbmate, diesel, flyway, golang-migrate, goose,
    /// graphile-migrate, node-pg-migrate, prisma, refinery, sqitch, sqlx, supabase
    #[arg(long, value_name = "TOOL")]
    from: Option<String>,
    /// The folder of its migrations, where it is none of the usual ones
    #[arg(long, value_name = "FOLDER")]
    dir: Option<String>,
    /// Its history table, where it has not the usual name: schema.table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Copy the files into our own layout instead of reading them where they are; Alembic's revisions, which are
    /// programs, always are, as the SQL that Alembic says
    #[arg(long)]
    convert: bool,
    /// The folder for the copies, migrations where nothing is said
    #[arg(long, value_name = "FOLDER")]
    into: Option<String>,
    /// Take over although the live database differs from what the files say
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

/// What is taken over.
struct Adoption {
    tool_folder: find::ToolFolder,
    /// The tool's history table; none where it has not run here yet.
    found: Option<Found>,
    /// The migrations, where they are or where they will be.
    entries: Vec<Entry>,
    /// What the tool has applied.
    rows: Vec<Row>,
    /// What a conversion writes.
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
    let (pairs, findings) = proof::pair(&adoption.entries, &adoption.rows);
    let mut findings: Vec<Finding> = adoption.findings.iter().cloned().chain(findings).collect();
    stop(
        &findings,
        "be mended before its migrations can be taken over",
    )?;
    let books = project::history_and_journal(context, &session).await?;
    fresh(&adoption, &books, &session).await?;
    let applied: Vec<&Entry> = pairs.iter().map(|(entry, _)| *entry).collect();
    let differences = differences(context, &session, &applied).await?;
    let different = differences.len();
    if args.accept_differences {
        findings.extend(differences.into_iter().map(accepted));
    } else {
        stop(
            &differences,
            "be settled: the database is not what the files say",
        )?;
        findings.extend(differences);
    }
    let setting = writes::setting(context, args, &adoption)?;
    let pending = adoption.entries.len() - pairs.len();
    let counts = (pairs.len(), pending, different);
    for line in writes::describe(&adoption, &target, counts, setting.as_ref()) {
        context.terminal.say(&line);
    }
    gate::confirm(context, &session, &target, "migrations will be taken over ").await?;
    if !context.config.database.is_protected() {
        context.confirm("Take it over?")?;
    }
    let mut written = writes::files(context, args, &adoption, setting)?;
    if let Some(found) = &adoption.found {
        let folder = writes::folder(&adoption);
        let mut ledger = project::record_settings(context, &books.history, &folder)?;
        if adoption.converted.is_none() && found.tool != Tool::Refinery {
            // No service of refinery's reads another tool's layout, and its numbers may grow.
            ledger.width = books.history.width(Width::Int8);
        }
        project::create_history_tables(&session, &ledger, &books.history).await?;
        let taken: Vec<books::Taken<'_>> = pairs
            .iter()
            .map(|(entry, row)| books::Taken { entry, row })
            .collect();
        let insert = books.history.rows.is_empty();
        books::write(&session, &ledger, (found, &taken), insert).await?;
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

/// Refuses when anything stands in the way; everything that does is named.
fn stop(findings: &[Finding], what: &str) -> Result<()> {
    let wrong: Vec<Finding> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .cloned()
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let things = count(wrong.len(), "thing has", "things have");
    Err(refuse(format!("{things} to {what}; nothing was written"))
        .findings(wrong)
        .into())
}

/// Refuses to take over what is taken over already.
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
        books::adopted(session).await?
    } else {
        None
    };
    if let Some(adopted) = adopted {
        return Err(refuse(format!(
            "{} is taken over already; nothing was written",
            adopted.found
        ))
        .hint("af-db status --foreign says whether that tool has run since")
        .into());
    }
    let has_rows =
        matches!(books.history.table, HistoryTable::Present(_)) && !books.history.rows.is_empty();
    if has_rows && !ours && adoption.found.is_some() {
        return Err(refuse(format!(
            "{} holds a history already; nothing was written",
            books.history.name
        ))
        .hint("this database is governed by af-db or refinery: af-db status")
        .into());
    }
    Ok(())
}

/// Proves on a scratch server that the database is what the applied files say.
async fn differences(
    context: &Context,
    session: &Session,
    applied: &[&Entry],
) -> Result<Vec<Finding>> {
    let found = crate::adopt::record::survey(session, None).await?;
    let scratch = context.scratch(Some(session)).await?;
    proof::compare(&scratch, session, applied, &found, &context.watch()).await
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
        let adopted = count(self.adopted, "migration", "migrations");
        page.line(format!(
            "took over {adopted} of {} from {}, {} pending",
            self.tool, self.folder, self.pending
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
