//! Reads a schema from the manifest, the migrations, an .sql file or a database.
//!
//! Sources that are not databases are loaded into shadow databases on one server, which is started when first needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result};

use crate::adopt::source;
use crate::catalog::{Catalog, Interner, Scope, read};
use crate::commands::{Context, Purpose, project};
#[cfg(feature = "sqlite")]
use crate::copy::{schema, sqlite};
use crate::disk;
use crate::error::fail;
use crate::finding::{Finding, Location};
use crate::manifest::normalize::NormalizedManifest;
use crate::manifest::{self, Manifest};
use crate::migrate::files::{self, Migration};
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::shadow_server::{self, ShadowServer};
use crate::pg::target::Target;
use crate::shadow::{self, Shadow};
use crate::sql::safe::Sql;
use crate::sql::split;

/// Where a schema comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SchemaSource {
    /// A folder of YAML and SQL that declares it.
    Manifest(PathBuf),
    /// A directory of migrations, in any supported layout, replayed.
    Migrations(PathBuf),
    /// An .sql file, or a Prisma schema that Prisma converts to SQL.
    Sql(PathBuf),
    /// The managed database.
    Live,
    /// A database by its connection URL.
    Address(String),
    /// A SQLite database, its types mapped.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

/// A schema read from its source.
pub(crate) struct SourceSchema {
    pub(crate) catalog: Catalog,
    /// Statements of a manifest that PostgreSQL rejected.
    pub(crate) findings: Vec<Finding>,
    /// Where a manifest declares things.
    #[expect(dead_code, reason = "drift names the location in the manifest")]
    pub(crate) places: BTreeMap<String, Location>,
}

impl SchemaSource {
    /// Parses `manifest`, `migrations` (or `shadow`), `live`, a connection URL, a directory, an .sql file or a SQLite URL.
    pub(crate) fn parse(text: &str, context: &Context) -> Result<SchemaSource> {
        let config = &context.config;
        match text {
            "manifest" => return Ok(SchemaSource::Manifest(config.manifest())),
            "migrations" | "shadow" => return Ok(SchemaSource::Migrations(config.migrations())),
            "live" => return Ok(SchemaSource::Live),
            _ => {}
        }
        let path = PathBuf::from(text);
        if path.is_dir() {
            let declares = holds_yaml(&path).with_context(|| format!("reading {text}"))?;
            return Ok(if declares {
                SchemaSource::Manifest(path)
            } else {
                SchemaSource::Migrations(path)
            });
        }
        #[cfg(feature = "sqlite")]
        if let Some(path) = sqlite::path(text) {
            return Ok(SchemaSource::Sqlite(path));
        }
        if path.is_file() {
            return Ok(SchemaSource::Sql(path));
        }
        if text.contains("://") || text.contains('=') {
            return Ok(SchemaSource::Address(text.to_owned()));
        }
        Err(fail(format!(
            "`{text}` is not a database, a directory or a file"
        ))
        .hint(
            "Use manifest, migrations, live, a connection URL, a directory, an .sql file, a Prisma schema or sqlite://FILE",
        )
        .into())
    }
}

fn holds_yaml(folder: &Path) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a session on the server of a source; none for sources that are files.
pub(crate) async fn server(source: &SchemaSource, context: &Context) -> Result<Option<Session>> {
    match source {
        SchemaSource::Live => Ok(Some(context.open(Purpose::Reading).await?.0)),
        SchemaSource::Address(address) => {
            let target = Target::parse(address)?;
            Ok(Some(connect::open(&target, &context.watch()).await?))
        }
        _ => Ok(None),
    }
}

/// Reads sources, with one shadow server for all of them.
pub(crate) struct SchemaReader<'a> {
    context: &'a Context,
    scratch: Option<ShadowServer>,
    made: usize,
    shared: Rc<Interner>,
}

impl<'a> SchemaReader<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        SchemaReader {
            context,
            scratch: None,
            made: 0,
            shared: Rc::default(),
        }
    }

    /// Another reader that shares equal texts in memory with this one.
    pub(crate) fn beside(&self) -> Self {
        SchemaReader {
            shared: Rc::clone(&self.shared),
            ..SchemaReader::new(self.context)
        }
    }

    pub(crate) async fn read(
        &mut self,
        source: &SchemaSource,
        scope: &Scope,
    ) -> Result<SourceSchema> {
        let context = self.context;
        let plain = |catalog| SourceSchema {
            catalog,
            findings: Vec::new(),
            places: BTreeMap::new(),
        };
        match source {
            SchemaSource::Live => {
                let (session, target) = context.open(Purpose::Reading).await?;
                let catalog = read::read_sharing(&session, scope, &self.shared).await;
                Ok(plain(catalog.with_context(|| {
                    format!("reading the database `{target}`")
                })?))
            }
            SchemaSource::Address(address) => {
                let target = Target::parse(address)?;
                let session = connect::open(&target, &context.watch()).await?;
                let catalog = read::read_sharing(&session, scope, &self.shared).await;
                Ok(plain(catalog.with_context(|| {
                    format!("reading the database `{target}`")
                })?))
            }
            SchemaSource::Migrations(folder) => {
                let config = &context.config;
                let migrations = if *folder == config.migrations() {
                    self.migrations(folder)?
                } else {
                    source::migrations(folder, &config.shown(folder)).await?
                };
                let shadow = self.shadow(&migrations).await?;
                Ok(plain(read::read(&shadow.session, scope).await?))
            }
            SchemaSource::Sql(file) => Ok(plain(self.run_file(file, scope).await?)),
            #[cfg(feature = "sqlite")]
            SchemaSource::Sqlite(file) => self.mapped(file, scope).await,
            SchemaSource::Manifest(folder) => {
                let manifest = manifest::read(folder, &context.config.shown(folder))?;
                let settled = self.settle(&manifest, scope).await?;
                Ok(SourceSchema {
                    catalog: settled.catalog,
                    findings: settled.findings,
                    places: settled.locations,
                })
            }
        }
    }

    /// Settles a manifest in a fresh database.
    pub(crate) async fn settle(
        &mut self,
        manifest: &Manifest,
        scope: &Scope,
    ) -> Result<NormalizedManifest> {
        let session = self.empty().await?;
        manifest::normalize::normalize(manifest, &session, scope, &self.context.watch()).await
    }

    /// Replays migrations in a fresh database.
    pub(crate) async fn shadow(&mut self, migrations: &[Migration]) -> Result<Shadow> {
        let name = self.name();
        let watch = self.context.watch();
        let scratch = self.scratch().await?;
        shadow::build(scratch, &name, migrations, &watch).await
    }

    /// Opens a fresh database, prepared as the project's migrations expect it (such as for Supabase).
    pub(crate) async fn empty(&mut self) -> Result<Session> {
        let project = self.migrations(&self.context.config.migrations())?;
        let name = self.name();
        let scratch = self.scratch().await?;
        Ok(shadow::empty(scratch, &name, &project).await?.session)
    }

    /// Lists the migrations of a folder.
    pub(crate) fn migrations(&self, folder: &Path) -> Result<Vec<Migration>> {
        let config = &self.context.config;
        if folder == config.migrations() {
            return project::folder(self.context)?.whole();
        }
        files::list(folder, &config.shown(folder))?.whole()
    }

    /// Maps the schema of a SQLite database to PostgreSQL.
    #[cfg(feature = "sqlite")]
    async fn mapped(&mut self, file: &Path, scope: &Scope) -> Result<SourceSchema> {
        let shown = self.context.config.shown(file);
        let mapped = schema::map(&sqlite::open(file)?)?;
        let session = self.empty().await?;
        for statement in &mapped.statements {
            let doing = || format!("mapping {shown}: {}", statement.as_str());
            session.run(statement).await.with_context(doing)?;
        }
        Ok(SourceSchema {
            catalog: read::read(&session, scope).await?,
            findings: mapped.findings,
            places: BTreeMap::new(),
        })
    }

    async fn run_file(&mut self, file: &Path, scope: &Scope) -> Result<Catalog> {
        let shown = self.context.config.shown(file);
        let text = if source::is_prisma(file) {
            source::prisma(file, &shown).await?
        } else {
            disk::read_text(file, &shown)?
        };
        split::check_closed(&shown, &text)?;
        let session = self.empty().await?;
        session.confinement().check(&shown, &text)?;
        for statement in split::split(&text) {
            let at = format!(
                "{shown}:{}:{}",
                statement.position.line, statement.position.column
            );
            session
                .run(&Sql::written_by_user(statement.text))
                .await
                .with_context(|| format!("running {at}"))?;
        }
        read::read(&session, scope).await
    }

    async fn scratch(&mut self) -> Result<&ShadowServer> {
        if self.scratch.is_none() {
            let options = self
                .context
                .config
                .embedded(self.context.config.file.postgres_major)?;
            let watch = self.context.watch();
            self.scratch = Some(shadow_server::start(&options, &watch).await?);
        }
        self.scratch
            .as_ref()
            .context("the shadow server was started")
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("source_{}", self.made)
    }
}
