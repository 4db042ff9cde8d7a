//! `af-db copy`: copies the rows of a SQLite database into PostgreSQL and verifies them.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report, change::gate};
use crate::copy::{self, CopiedTable, mapping, sqlite};
use crate::error::{fail, refuse};
use crate::finding::{Finding, Severity};

/// Flags of `copy`.
///
/// The tables must exist and be empty; create them with migrations (af-db up). Differences are listed before any row is
/// copied. Rows are copied with binary COPY in one transaction, then read back, counted and hashed before the commit.
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// SQLite database to copy from, such as sqlite://dev.db
    source: String,
    /// Copy only these tables
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    table: Vec<String>,
    /// Target schema
    #[arg(long, value_name = "NAME", default_value = "public")]
    schema: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CopyReport {
    database: String,
    tables: Vec<CopiedTable>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let Some(path) = sqlite::path(&args.source) else {
        return Err(fail(format!("cannot copy rows from `{}`", args.source))
            .hint("Give a SQLite database: af-db copy sqlite://dev.db. From PostgreSQL, use af-db backup and af-db restore")
            .into());
    };
    let database = sqlite::open(&path)?;
    let tables = database.tables()?;
    let (session, target) = context.open(Purpose::Writing).await?;
    let mapping = mapping::map(&tables, &session, &args.schema, &args.table).await?;
    let wrong: Vec<Finding> = mapping
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .cloned()
        .collect();
    if !wrong.is_empty() {
        let errors = count(wrong.len(), "error", "errors");
        return Err(refuse(format!("{errors}; nothing was copied"))
            .findings(wrong)
            .into());
    }
    if mapping.moves.is_empty() {
        return Err(fail(format!("{} has no tables", args.source)).into());
    }
    for line in describe(&mapping) {
        context.terminal.say(&line);
    }
    gate::confirm(context, &session, &target, "rows will be copied ").await?;
    if !context.config.database.is_protected() {
        context.confirm(&format!("Copy them into {target}?"))?;
    }
    let moved = copy::copy_rows(
        &database,
        &session,
        &args.schema,
        &mapping,
        &context.watch(),
    )
    .await?;
    session.close().await;
    context.show(&CopyReport {
        database: target.to_string(),
        tables: moved,
        findings: mapping.findings,
    })
}

/// Shows how tables and column types are mapped.
fn describe(mapping: &mapping::Mapping) -> Vec<String> {
    let mut lines = Vec::new();
    for table in &mapping.moves {
        let rows = usize::try_from(table.rows).unwrap_or(usize::MAX);
        lines.push(format!("{}: {}", table.to, count(rows, "row", "rows")));
        for pair in &table.pairs {
            let declared = if pair.declared.is_empty() {
                "(no type)"
            } else {
                &pair.declared
            };
            lines.push(format!("  {}  {declared} -> {}", pair.to, pair.shown));
        }
    }
    lines
}

impl Report for CopyReport {
    fn command(&self) -> &'static str {
        "copy"
    }

    fn human(&self, page: &mut Page) {
        let rows: Vec<_> = self
            .tables
            .iter()
            .map(|table| {
                vec![
                    (Tone::Good, "verified".to_owned()),
                    (Tone::Plain, table.table.clone()),
                    (
                        Tone::Plain,
                        count(
                            usize::try_from(table.rows).unwrap_or(usize::MAX),
                            "row",
                            "rows",
                        ),
                    ),
                    (Tone::Dim, table.hash.clone()),
                ]
            })
            .collect();
        page.table(&rows);
        page.gap();
        page.line(format!("copied into {}", self.database));
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
