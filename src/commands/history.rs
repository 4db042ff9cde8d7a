//! `af-db history`: shows and verifies the journal.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, project};
use crate::error::fail;
use crate::finding::{self, Finding, Severity};
use crate::migrate::journal::{self, JournalRow};
use crate::migrate::verify::{self, Anchor, VerifyInputs};

/// Flags of `history`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Show at most this many rows, newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: i64,
    /// Verify the hash chain and that every applied migration has a journal row
    #[arg(long)]
    verify: bool,
    /// With --verify: accept applied migrations without a journal row (applied by services)
    #[arg(long, requires = "verify")]
    services: bool,
    /// Save the newest row's hash to this file; with --verify, compare the journal with it
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct HistoryReport {
    database: String,
    rows: Vec<JournalRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (session, target) = context.open(Purpose::Reading).await?;
    let records = project::history_and_journal(context, &session).await?;
    let mut report = HistoryReport {
        database: target.to_string(),
        rows: Vec::new(),
        verified: None,
        findings: Vec::new(),
    };
    if records.history.has_journal {
        report.rows = journal::read(&session, args.limit).await?;
    }
    if args.verify || args.anchor.is_some() {
        let path = args.anchor.as_deref();
        let anchor = path
            .map(|path| read_anchor(path, args.verify))
            .transpose()?;
        let tenant = context.config.tenant.as_ref();
        // The journal can be checked without the project's files, from anywhere.
        let files = project::folder(context).map(|folder| folder.migrations);
        let files = files.unwrap_or_default();
        let against = VerifyInputs {
            history: &records.history,
            files: &files,
            tenant: tenant.map_or("", |tenant| &tenant.schema),
            services: args.services || !args.verify,
            anchor: anchor.as_ref().and_then(Option::as_ref),
        };
        report.findings = verify::verify(&session, &against).await?;
        let worst = finding::worst(&report.findings);
        report.verified = Some(worst < Some(Severity::Error));
    }
    if let Some(path) = args.anchor.as_deref().filter(|_| !args.verify)
        && report.verified == Some(true)
    {
        keep_anchor(path, &verify::anchor(&session).await?)?;
        context.terminal.say(&format!(
            "hash of the newest row saved to {}",
            path.display()
        ));
    }
    context.show(&report)
}

/// Reads an anchor; one that is to be compared with must be there.
fn read_anchor(path: &Path, must_exist: bool) -> Result<Option<Anchor>> {
    let shown = path.display();
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && must_exist => {
            return Err(fail(format!("the anchor file `{shown}` does not exist"))
                .hint(format!("Create it first: af-db history --anchor {shown}"))
                .into());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("reading {shown}"))?,
    };
    let anchor = serde_json::from_str(&text);
    Ok(Some(anchor.with_context(|| {
        format!("{shown} is not an anchor file of af-db history --anchor")
    })?))
}

fn keep_anchor(path: &Path, anchor: &Anchor) -> Result<()> {
    let mut text = serde_json::to_string_pretty(anchor)?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

impl Report for HistoryReport {
    fn command(&self) -> &'static str {
        "history"
    }

    fn human(&self, page: &mut Page) {
        if self.rows.is_empty() {
            if self.findings.is_empty() {
                page.line(format!("no runs recorded in {}", self.database));
            }
            return;
        }
        // The statements of a file are recorded one by one for the case that it is cut off; people want the files.
        let told = |line: &&JournalRow| {
            !line.state.ends_with("unit-began") && !line.state.ends_with("unit-done")
        };
        let rows: Vec<_> = self.rows.iter().filter(told).map(row).collect();
        page.table(&rows);
        if self.verified == Some(true) {
            page.gap();
            let rows = count(self.rows.len(), "row", "rows");
            page.toned(Tone::Good, format!("hash chain OK ({rows})"));
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

fn row(line: &JournalRow) -> Vec<(Tone, String)> {
    let tone = match line.state.as_str() {
        "applied" | "reverted" => Tone::Good,
        "failed" | "failed-half-way" | "revert-failed-half-way" => Tone::Bad,
        _ => Tone::Plain,
    };
    let migration = line
        .version
        .map(|version| format!("{version} {}", line.name.as_deref().unwrap_or_default()));
    let said = line
        .error
        .as_deref()
        .or(line.note.as_deref())
        .unwrap_or_default();
    vec![
        (Tone::Dim, line.at.replace('T', " ").replace('Z', "")),
        (tone, line.state.clone()),
        (Tone::Plain, migration.unwrap_or_default()),
        (Tone::Dim, format!("{} ms", line.took_ms)),
        (Tone::Plain, format!("{} as {}", line.actor, line.role)),
        (
            Tone::Plain,
            said.lines().next().unwrap_or_default().to_owned(),
        ),
    ]
}
