//! `af-db history`: the journal, and whether its chain holds.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, project};
use crate::finding::Finding;
use crate::migrate::journal::{self, Line};

/// Flags of `history`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Show at most this many rows, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: i64,
    /// Check every link of the chain: finds any row that was altered, removed or inserted
    #[arg(long)]
    verify: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct HistoryReport {
    database: String,
    rows: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (session, target) = context.open(Purpose::Reading).await?;
    let books = project::books(context, &session).await?;
    let mut report = HistoryReport {
        database: target.to_string(),
        rows: Vec::new(),
        verified: None,
        findings: Vec::new(),
    };
    if books.history.has_journal {
        report.rows = journal::read(&session, args.limit).await?;
        if args.verify {
            report.findings = journal::verify(&session).await?;
            report.verified = Some(report.findings.is_empty());
        }
    }
    context.show(&report)
}

impl Report for HistoryReport {
    fn command(&self) -> &'static str {
        "history"
    }

    fn human(&self, page: &mut Page) {
        if self.rows.is_empty() {
            page.line(format!("af-db has not worked on {} yet", self.database));
            return;
        }
        // The statements of a file are recorded one by one for the case that it is cut off; people want the files.
        let told = |line: &&Line| {
            !line.state.ends_with("unit-began") && !line.state.ends_with("unit-done")
        };
        let rows: Vec<_> = self.rows.iter().filter(told).map(row).collect();
        page.table(&rows);
        if self.verified == Some(true) {
            page.gap();
            let rows = count(self.rows.len(), "row", "rows");
            page.toned(
                Tone::Good,
                format!("the chain holds; the newest {rows} are shown or folded above"),
            );
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

fn row(line: &Line) -> Vec<(Tone, String)> {
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
