//! `af-db diagram`: a picture of the schema.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::catalog::{Scope, diagram};
use crate::commands::page::{Page, count};
use crate::commands::schema_sources::{SchemaReader, SchemaSource};
use crate::commands::{Context, Outcome, Report};
use crate::error::fail;
use crate::finding::Finding;

/// Flags of `diagram`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Output language
    #[arg(long, value_enum, default_value_t = Language::Mermaid)]
    language: Language,
    /// Schema to draw: manifest, migrations, live, a URL, a directory or an .sql file
    #[arg(long, value_name = "SOURCE", default_value = "migrations")]
    from: String,
    /// Draw only tables with this prefix (repeatable)
    #[arg(long, value_name = "PREFIX")]
    table: Vec<String>,
    /// Write to this file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<std::path::PathBuf>,
}

/// What draws the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// Mermaid, rendered by GitHub and GitLab
    Mermaid,
    /// Graphviz
    Dot,
    /// SVG image
    Svg,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DiagramReport {
    tables: usize,
    references: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    diagram: String,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let source = SchemaSource::parse(&args.from, context)?;
    let scope = Scope::of_schemas(&context.config.schemas());
    let read = SchemaReader::new(context).read(&source, &scope).await?;
    let mut drawn = diagram::of(&read.catalog, context.config.tenant_column());
    if !args.table.is_empty() {
        drawn = drawn.only(|name| args.table.iter().any(|prefix| name.starts_with(prefix)));
    }
    if drawn.tables.is_empty() {
        let schemas = context.config.schemas().join(", ");
        return Err(fail(format!("no tables to draw in {schemas}"))
            .hint("Choose another source with --from, or set schemas in af-db.yaml")
            .into());
    }
    let text = match args.language {
        Language::Mermaid => diagram::mermaid(&drawn),
        Language::Dot => diagram::dot(&drawn),
        Language::Svg => diagram::svg(&drawn),
    };
    if let Some(path) = &args.out {
        std::fs::write(path, &text).with_context(|| format!("writing {}", path.display()))?;
    }
    context.show(&DiagramReport {
        tables: drawn.tables.len(),
        references: drawn.references.len(),
        file: args.out.as_ref().map(|path| context.config.shown(path)),
        diagram: if args.out.is_some() {
            String::new()
        } else {
            text
        },
        findings: read.findings,
    })
}

impl Report for DiagramReport {
    fn command(&self) -> &'static str {
        "diagram"
    }

    fn human(&self, page: &mut Page) {
        match &self.file {
            Some(file) => page.line(format!("{file}: {}", count(self.tables, "table", "tables"))),
            None => page.document(self.diagram.trim_end()),
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
