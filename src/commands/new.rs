//! `af-db new`: creates a migration and its down migration.

use anyhow::Result;
use serde::Serialize;

use crate::adopt;
use crate::catalog::{Key, Scope};
use crate::commands::page::{Page, Tone};
use crate::commands::schema_sources::SchemaReader;
use crate::commands::{Context, Outcome, Report, project, rename_question};
use crate::error::fail;
use crate::manifest::rename_detection::PossibleRename;
use crate::manifest::{self, generate};
use crate::migrate::files::Migration;
use crate::migrate::new_migration::{self, MigrationPair};
use crate::sql::name::Ident;
use crate::sql::redact;

/// Flags of `new`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Name of the migration, such as add_tenant
    name: String,
    /// Generate the changes from the migrations to the manifest, tested up and down on a shadow database
    ///
    /// Existing objects are changed with statements that do not block reads and writes, such as CREATE INDEX CONCURRENTLY
    /// and NOT VALID. Statements that cannot run in a transaction become a separate migration. Renames are asked on a
    /// terminal or declared with `renamed-from:` in the manifest; otherwise the object is dropped and created.
    #[arg(long)]
    from_manifest: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct NewReport {
    migrations: Vec<WrittenPair>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenPair {
    version: i64,
    up: String,
    down: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destroys: Vec<String>,
}

/// The texts of a migration and its down migration.
struct PairText {
    up: String,
    down: String,
    destroys: Vec<String>,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let shown = redact::addresses(&args.name);
    if shown != args.name {
        return Err(fail(format!(
            "`{shown}` is a connection URL, not a migration name"
        ))
        .hint("Give a name, such as `af-db new add_invoices`")
        .into());
    }
    let name = new_migration::file_name(&args.name)?;
    let texts = if args.from_manifest {
        generated(context).await?
    } else {
        let (up, down) = new_migration::blank(&name);
        vec![PairText {
            up,
            down,
            destroys: Vec::new(),
        }]
    };
    let first = first(context, &folder.migrations)?;
    let mut migrations = Vec::new();
    for (version, texts) in (first..).zip(&texts) {
        let pair = pair(context, version, &name, &texts.up, &texts.down)?;
        migrations.push(WrittenPair {
            version,
            up: context.config.shown(&pair.up),
            down: context.config.shown(&pair.down),
            destroys: texts.destroys.clone(),
        });
    }
    context.show(&NewReport { migrations })
}

/// The next version in the numbering of the directory.
fn first(context: &Context, migrations: &[Migration]) -> Result<i64> {
    let now = project::timestamp();
    Ok(match project::layout(context)? {
        None => new_migration::next_version(migrations, now),
        Some(tool) => {
            let now = adopt::new_files::Now {
                timestamp: now,
                epoch_millis: chrono::Utc::now().timestamp_millis(),
            };
            adopt::new_files::next(tool, &context.config.migrations(), migrations, now)
        }
    })
}

/// Writes a migration and its down migration in the layout of the directory.
fn pair(
    context: &Context,
    version: i64,
    name: &str,
    up: &str,
    down: &str,
) -> Result<MigrationPair> {
    let folder = context.config.migrations();
    match project::layout(context)? {
        None => new_migration::pair(&folder, version, name, up, down),
        Some(tool) => adopt::new_files::pair(tool, &folder, version, name, up, down),
    }
}

/// Generates the migrations that the files lack compared with the manifest.
async fn generated(context: &Context) -> Result<Vec<PairText>> {
    let folder = context.config.manifest();
    let shown = context.config.shown(&folder);
    let manifest = manifest::read(&folder, &shown)?;
    if manifest.is_empty() {
        return Err(fail(format!("{shown} declares no objects"))
            .hint("Write the manifest first: af-db manifest write")
            .into());
    }
    let scope = Scope::of_schemas(&context.config.schemas());
    let mut sources = SchemaReader::new(context);
    let settled = sources.settle(&manifest, &scope).await?;
    if let Some(finding) = settled.findings.first() {
        let place = finding
            .place
            .as_ref()
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        return Err(fail(format!("{place}{}", finding.message))
            .hint("Fix the manifest; nothing was written")
            .into());
    }
    let migrations = sources.migrations(&context.config.migrations())?;
    let shadow = sources.shadow(&migrations).await?;
    let mut ask = |gone: &PossibleRename| dropped_or_renamed(context, gone);
    let declared = &settled.catalog;
    let parts = generate::generate(&shadow.session, &manifest, declared, &scope, &mut ask).await?;
    if parts.is_empty() {
        return Err(fail(format!("no changes: migrations match {shown}"))
            .hint("Change the manifest first")
            .into());
    }
    let texts = parts.into_iter().map(|part| PairText {
        up: part.up,
        down: part.down,
        destroys: part.destroys,
    });
    Ok(texts.collect())
}

/// Asks whether an object was dropped or renamed; without a terminal it is dropped, with a warning.
fn dropped_or_renamed(context: &Context, gone: &PossibleRename) -> Result<Option<usize>> {
    let name = |key: &Key| key.to_string().replace(['\n', '\r'], " ");
    if !context.terminal.is_interactive() {
        let old = match gone.key.part.as_ref() {
            "" => &gone.key.name,
            part => part,
        };
        context.terminal.warn(&format!(
            "{} is treated as dropped and {} as new; if it was renamed, set `renamed-from: {}` in the manifest",
            name(&gone.key),
            name(&gone.now[0]),
            Ident::new(old)
        ));
        return Ok(None);
    }
    rename_question::ask(context, gone, "is no longer declared")
}

impl Report for NewReport {
    fn command(&self) -> &'static str {
        "new"
    }

    fn human(&self, page: &mut Page) {
        for made in &self.migrations {
            page.line(&made.up);
            if made.down != made.up {
                page.line(&made.down);
            }
            for what in &made.destroys {
                page.toned(Tone::Bad, format!("  destroys {what}"));
            }
        }
    }
}
