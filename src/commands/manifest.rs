//! `af-db manifest`: writes the declared schema from a database or from the migrations.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::catalog::{Catalog, Scope};
use crate::commands::page::{Page, count};
use crate::commands::schema_sources::{SchemaReader, SchemaSource};
use crate::commands::{Context, Outcome, Report};
use crate::diff;
use crate::error::refuse;
use crate::finding::Finding;
use crate::manifest::{self, compare, write};

/// Flags of `manifest`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Write schemas/: one YAML file per table; objects YAML cannot express go to SQL files
    ///
    /// Policies and grants are included unless policies/ manages them. The result is loaded into a shadow database and
    /// compared with the source.
    Write(WriteArgs),
}

#[derive(clap::Args, Debug)]
struct WriteArgs {
    /// Source schema: migrations, live, a URL, a directory or an .sql file
    #[arg(long, value_name = "SOURCE", default_value = "migrations")]
    from: String,
    /// Replace existing files, except those with schema rules
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenReport {
    folder: String,
    tables: usize,
    written: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
    with_policies: bool,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let What::Write(args) = &args.what;
    write(args, context).await
}

async fn write(args: &WriteArgs, context: &Context) -> Result<Outcome> {
    let folder = context.config.manifest();
    let shown = context.config.shown(&folder);
    let replaced = replaced(&folder, &shown)?;
    if let (Some(first), false) = (replaced.first(), args.replace) {
        return Err(
            refuse(format!("{first} already exists; nothing was written"))
                .hint("Use --replace to rewrite the manifest; files with schema rules are kept")
                .into(),
        );
    }
    let source = SchemaSource::parse(&args.from, context)?;
    let scope = Scope::of_schemas(&context.config.schemas());
    let mut sources = SchemaReader::new(context);
    let mut catalog = sources.read(&source, &scope).await?.catalog;
    let with_policies = !holds_files(&context.config.policies());
    if !with_policies {
        catalog = compare::without_security(&catalog);
    }
    let files = write::write(&catalog);
    let findings = prove(&mut sources, &catalog, &files, &scope).await?;
    let removed = replace(&folder, &replaced, &files)?;
    context.show(&WrittenReport {
        tables: files
            .keys()
            .filter(|name| name.ends_with(".yaml") && *name != "database.yaml")
            .count(),
        written: files.keys().map(|name| format!("{shown}/{name}")).collect(),
        folder: shown,
        removed,
        with_policies,
        findings,
    })
}

/// Loads the new manifest into a shadow database and reports the differences from its source.
async fn prove(
    sources: &mut SchemaReader<'_>,
    catalog: &Catalog,
    files: &BTreeMap<String, String>,
    scope: &Scope,
) -> Result<Vec<Finding>> {
    let texts = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let manifest = manifest::of_texts(texts).context("reading the new manifest")?;
    let settled = sources.settle(&manifest, scope).await?;
    let mut findings = settled.findings;
    let pair = compare::comparable(&manifest, &settled.catalog, catalog);
    for change in diff::between(&pair.declared, &pair.actual) {
        let subject = change.key.subject();
        let message = format!("{} is not reproduced by the manifest", change.key);
        findings.push(
            Finding::error("manifest-loss", subject, message).help("Declare it in an .sql file"),
        );
    }
    Ok(findings)
}

/// Lists the files that a new manifest replaces: all except those with schema rules.
fn replaced(folder: &Path, shown: &str) -> Result<Vec<String>> {
    let manifest = manifest::read(folder, shown)?;
    let yaml = manifest
        .files
        .iter()
        .filter(|file| file.document.rules.is_none())
        .map(|file| file.name.clone());
    Ok(yaml
        .chain(manifest.sql.iter().map(|file| file.name.clone()))
        .collect())
}

/// Writes the files and removes the replaced ones; returns the removed files.
fn replace(folder: &Path, old: &[String], files: &BTreeMap<String, String>) -> Result<Vec<String>> {
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut removed = Vec::new();
    for shown in old {
        // Shown names start with the directory.
        let Some((_, name)) = shown.split_once('/') else {
            continue;
        };
        if files.contains_key(name) {
            continue;
        }
        std::fs::remove_file(folder.join(name)).with_context(|| format!("removing {shown}"))?;
        removed.push(shown.clone());
    }
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(removed)
}

fn holds_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

impl Report for WrittenReport {
    fn command(&self) -> &'static str {
        "manifest write"
    }

    fn human(&self, page: &mut Page) {
        for file in &self.written {
            page.line(file);
        }
        for file in &self.removed {
            page.line(format!("{file} removed"));
        }
        let policies = if self.with_policies {
            ", with policies and grants"
        } else {
            "; policies and grants are managed in policies/"
        };
        page.line(format!(
            "{} written{policies}",
            count(self.tables, "table", "tables")
        ));
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
