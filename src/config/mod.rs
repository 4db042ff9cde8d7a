//! The configuration, resolved once: flag > environment > `af-db.yaml` > default.
//!
//! The only module that reads the environment. The engine never sees a [`Config`]; it gets paths, targets and
//! small option structs.

#![allow(missing_docs, reason = "names that explain themselves need no comment")]

mod embedded;
mod file;
mod process_environment;
mod protected;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use crate::disk;
use crate::error::fail;
use crate::fleet::Tenant;
use crate::pg::target::Target;

pub use file::{Environment, File, LintSettings, MigrationSettings, RecoverySettings};
pub use process_environment::ProcessEnvironment;
pub use protected::{DeclaredAddress, ProtectedEnvironment};

/// The global command-line flags.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    /// `--env`.
    pub environment: Option<String>,
    pub database_url: Option<String>,
}

/// Where the connection URL of the database was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseSource {
    /// `--database-url`.
    Flag,
    /// An environment variable.
    Variable(&'static str),
    /// An environment of `af-db.yaml`.
    Environment(String),
    /// A fleet's file.
    Fleet,
    /// Nothing was configured: the PostgreSQL that af-db starts itself.
    Embedded,
}

impl std::fmt::Display for DatabaseSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseSource::Flag => f.write_str("--database-url"),
            DatabaseSource::Variable(name) => f.write_str(name),
            DatabaseSource::Environment(name) => write!(f, "environment `{name}` of af-db.yaml"),
            DatabaseSource::Fleet => f.write_str("the fleet"),
            DatabaseSource::Embedded => f.write_str("the embedded PostgreSQL"),
        }
    }
}

/// The database to use and its protection.
#[derive(Clone, Debug)]
pub struct Database {
    pub source: DatabaseSource,
    /// Absent for the embedded PostgreSQL, whose URL is known only once it runs.
    pub target: Option<Target>,
    /// The target for writing, when the other one is a pooler.
    pub direct: Option<Target>,
    /// The environment selected by name or URL.
    chosen: SelectedEnvironment,
    /// The protected environment that the server was recognised as.
    recognised: OnceLock<SelectedEnvironment>,
}

/// An environment and its rules.
#[derive(Clone, Debug)]
struct SelectedEnvironment {
    environment: String,
    rules: Environment,
}

impl Database {
    /// Returns the name of the environment whose rules apply.
    pub fn environment(&self) -> &str {
        &self.effective().environment
    }

    /// Returns the rules that apply.
    pub fn rules(&self) -> &Environment {
        &self.effective().rules
    }

    /// Returns whether typed confirmation and approvals are required.
    pub fn is_protected(&self) -> bool {
        self.rules().protected
    }

    /// Applies the rules of a protected environment, because the connected server is that environment.
    pub fn recognise(&self, environment: &str, rules: Environment) {
        self.recognised.get_or_init(|| SelectedEnvironment {
            environment: environment.to_owned(),
            rules: Environment {
                protected: true,
                ..rules
            },
        });
    }

    /// Returns whether the rules apply because of the connected server, not because of a name or URL.
    pub fn is_recognised(&self) -> bool {
        self.recognised.get().is_some()
    }

    fn effective(&self) -> &SelectedEnvironment {
        self.recognised.get().unwrap_or(&self.chosen)
    }

    /// Returns the target for writing.
    pub fn writing(&self) -> Option<&Target> {
        self.direct.as_ref().or(self.target.as_ref())
    }
}

#[derive(Clone, Debug)]
pub struct Config {
    /// The project's folder.
    pub root: PathBuf,
    /// The configuration file, if there is one.
    pub path: Option<PathBuf>,
    pub file: File,
    pub env: ProcessEnvironment,
    pub database: Database,
    /// The tenant's schema, where tenants share a database.
    pub tenant: Option<Tenant>,
}

pub const FILE_NAME: &str = "af-db.yaml";

/// Resolves the configuration without connecting to a server.
pub fn resolve(flags: &Flags) -> Result<Config> {
    let current = std::env::current_dir().context("reading the current folder")?;
    let path = find(&current, flags.config.as_deref())?;
    let root = path
        .as_deref()
        .and_then(Path::parent)
        .map_or_else(|| current.clone(), Path::to_path_buf);
    let file = match &path {
        Some(path) => read_file(path)?,
        None => File::default(),
    };
    let env = ProcessEnvironment::read(&root)?;
    let database = resolve_database(flags, &file, &env)?;
    Ok(Config {
        root,
        path,
        file,
        env,
        database,
        tenant: None,
    })
}

impl Config {
    pub fn migrations(&self) -> PathBuf {
        self.root
            .join(self.file.migrations.dir.as_deref().unwrap_or("migrations"))
    }

    pub fn manifest(&self) -> PathBuf {
        self.root.join("schemas")
    }

    pub fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }

    /// Returns the column with the tenant of a row, where tenancy is configured by one.
    pub fn tenant_column(&self) -> Option<&str> {
        self.file.tenancy.as_ref()?.get("column")?.as_str()
    }

    /// Returns the managed schemas.
    pub fn schemas(&self) -> Vec<String> {
        if let Some(tenant) = &self.tenant {
            return vec![tenant.schema.clone()];
        }
        self.file
            .schemas
            .clone()
            .unwrap_or_else(|| vec!["public".to_owned()])
    }

    /// Returns a path as the user would type it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Finds the configuration file: the given one, else the nearest in the project's folders upwards.
fn find(current: &Path, named: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(named) = named {
        let path = current.join(named);
        let shown = named.display();
        if path.is_dir() {
            return Err(
                fail(format!("`{shown}` is a folder, not a configuration file"))
                    .hint(format!("use --config {shown}/{FILE_NAME}"))
                    .into(),
            );
        }
        if !path.is_file() {
            return Err(
                fail(format!("the configuration file `{shown}` does not exist"))
                    .hint("run `af-db init` to create one, or remove --config")
                    .into(),
            );
        }
        return Ok(Some(path));
    }
    for folder in current.ancestors() {
        let path = folder.join(FILE_NAME);
        if path.is_dir() {
            return Err(fail(format!(
                "`{}` is a folder, not a configuration file",
                path.display()
            ))
            .hint("move the folder, or give the file with --config")
            .into());
        }
        if path.is_file() {
            return Ok(Some(path));
        }
        if folder.join(".git").exists() {
            break;
        }
    }
    Ok(None)
}

fn read_file(path: &Path) -> Result<File> {
    let shown = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    read_text(&shown, &disk::read_text(path, &shown)?)
}

/// Parses a configuration file; `name` is the file's name in messages.
pub fn read_text(name: &str, text: &str) -> Result<File> {
    crate::yaml::read(name, text)
}

fn resolve_database(flags: &Flags, file: &File, env: &ProcessEnvironment) -> Result<Database> {
    let chosen = flags
        .environment
        .clone()
        .or_else(|| env.get("AF_DB_ENV").map(str::to_owned));
    if let Some(name) = &chosen
        && name != "local"
        && !file.environments.contains_key(name)
    {
        return Err(unknown_environment(name, file).into());
    }
    let name = chosen.clone().unwrap_or_else(|| "local".to_owned());
    let rules = file.environments.get(&name).cloned().unwrap_or_default();
    let mut database = Database {
        source: DatabaseSource::Embedded,
        target: None,
        direct: None,
        chosen: SelectedEnvironment {
            environment: name,
            rules,
        },
        recognised: OnceLock::new(),
    };
    locate(&mut database, flags, chosen.is_some(), env)?;
    protect_by_address(&mut database, file, env);
    Ok(database)
}

/// Determines the connection URL, in the order documented in `--help`.
fn locate(
    database: &mut Database,
    flags: &Flags,
    chosen: bool,
    env: &ProcessEnvironment,
) -> Result<()> {
    if let Some(url) = &flags.database_url {
        if url.trim().is_empty() {
            // libpq would connect to a server of this machine; the user meant another.
            return Err(fail("--database-url is empty")
                .hint("give a connection URL; the variable it came from may be unset")
                .into());
        }
        database.source = DatabaseSource::Flag;
        database.target = Some(env.target(url).context("reading --database-url")?);
        return Ok(());
    }
    // A named environment wins over environment variables, else a stray DATABASE_URL would redirect production.
    if !chosen {
        for name in ["DATABASE_URL", "SUPABASE_DB_URL"] {
            if let Some(url) = env.get(name) {
                database.source = DatabaseSource::Variable(name);
                database.target = Some(env.target(url).with_context(|| format!("reading {name}"))?);
                database.direct = match env.get("DIRECT_URL") {
                    Some(url) => Some(env.target(url).context("reading DIRECT_URL")?),
                    None => None,
                };
                return Ok(());
            }
        }
        if let Some(url) = env.postgres_parts() {
            database.source = DatabaseSource::Variable("POSTGRES_HOST");
            database.target = Some(
                env.target(&url)
                    .context("reading POSTGRES_USER, _PASSWORD, _HOST, _PORT and _DB")?,
            );
            return Ok(());
        }
    }
    let label = format!(
        "environment `{}` of {FILE_NAME}",
        database.chosen.environment
    );
    let address = |text: &Option<String>| -> Result<Option<Target>> {
        let Some(text) = text else { return Ok(None) };
        let url = env
            .expand(text)
            .with_context(|| format!("reading {label}"))?;
        Ok(Some(
            env.target(&url)
                .with_context(|| format!("reading {label}"))?,
        ))
    };
    database.target = address(&database.chosen.rules.url)?;
    database.direct = address(&database.chosen.rules.direct_url)?;
    if database.target.is_none() {
        database.target = database.direct.clone();
    }
    if database.target.is_some() {
        database.source = DatabaseSource::Environment(database.chosen.environment.clone());
    }
    Ok(())
}

impl Config {
    /// Returns the configuration for another database; the rules of a protected environment follow its URL.
    pub fn at(&self, target: Target) -> Config {
        let mut config = self.clone();
        config.tenant = None;
        config.database.source = DatabaseSource::Fleet;
        config.database.target = Some(target);
        config.database.direct = None;
        config.database.recognised = OnceLock::new();
        protect_by_address(&mut config.database, &self.file, &self.env);
        config
    }
}

/// Applies the rules of a protected environment when one of the targets is one of its own.
fn protect_by_address(database: &mut Database, file: &File, env: &ProcessEnvironment) {
    if database.chosen.rules.protected {
        // Selected by name, protected by its own rules.
        return;
    }
    let reached: Vec<Target> = [&database.target, &database.direct]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    for environment in protected::all(file, env) {
        let mut reached = reached.iter();
        if reached.any(|target| environment.has_address(target)) {
            database.chosen = SelectedEnvironment {
                environment: environment.name,
                rules: environment.rules,
            };
            return;
        }
    }
}

fn unknown_environment(name: &str, file: &File) -> crate::error::Failure {
    let known: Vec<&str> = file.environments.keys().map(String::as_str).collect();
    let failure = fail(format!(
        "environment `{name}` is not defined in {FILE_NAME}"
    ));
    match crate::yaml::nearest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => failure.hint(format!(
            "add the environment under `environments:` in {FILE_NAME}"
        )),
        None => failure.hint(format!("defined environments: {}", known.join(", "))),
    }
}

/// Returns whether `NO_COLOR` is set to a non-empty value.
#[expect(
    clippy::disallowed_methods,
    reason = "asked before the rest of the environment is read"
)]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
