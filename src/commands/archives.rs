//! Owns what the commands on archives share: which store, which archive, which keys, and how sizes and times are written.

use anyhow::{Context as _, Result};

use crate::backup::archive::Archive;
use crate::backup::clients::Places;
use crate::backup::pgbackrest::Stanza;
use crate::backup::proven::{self, Wanted};
use crate::backup::seal;
use crate::backup::store::Store;
use crate::commands::{Context, policies};
use crate::error::fail;
use crate::pg::session::Session;

/// Who makes, checks and restores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// af-db's own archives of one database, by pg_dump
    #[default]
    Dump,
    /// pgBackRest, set up by you: whole clusters, to any point in time
    Pgbackrest,
}

/// Flags that choose the engine.
#[derive(clap::Args, Debug)]
pub(crate) struct EngineArgs {
    /// Who does the work
    #[arg(long, value_enum, default_value_t)]
    pub(crate) engine: Engine,
    /// The stanza of pgBackRest
    #[arg(long, value_name = "NAME", default_value = "main")]
    stanza: String,
    /// pgBackRest's configuration file instead of its own default
    #[arg(long, value_name = "FILE")]
    pgbackrest_config: Option<std::path::PathBuf>,
}

impl EngineArgs {
    /// Gives the stanza to work with.
    pub(crate) fn stanza(&self) -> Result<Stanza> {
        Stanza::new(&self.stanza, self.pgbackrest_config.as_deref())
    }
}

/// Gives the first flag that is given.
pub(crate) fn first_given<'a>(flags: &[(&'a str, bool)]) -> Option<&'a str> {
    let given = flags.iter().find(|(_, is_given)| *is_given);
    given.map(|(flag, _)| *flag)
}

/// Refuses flags that are given and that pgBackRest, which copies whole clusters, would not be told.
pub(crate) fn refuse_unheeded(given: &[(&str, bool)]) -> Result<()> {
    match first_given(given) {
        None => Ok(()),
        Some(flag) => Err(fail(format!(
            "pgBackRest works on whole servers and knows nothing of {flag}; nothing was done"
        ))
        .hint(format!(
            "leave {flag} out, or --engine pgbackrest; what pgBackRest keeps where and for whom stands in its own configuration"
        ))
        .into()),
    }
}

/// Gives the store a flag names, else the one of `af-db.yaml`, else the folder `backups`.
pub(crate) fn store(context: &Context, named: Option<&str>) -> Result<Store> {
    let config = &context.config;
    match named {
        // What is typed is relative to where it is typed, what is configured to the project.
        Some(named) => Store::parse(
            named,
            &std::env::current_dir().context("reading the current folder")?,
            config.ambient.variables(),
        ),
        None => Store::parse(
            config.file.backup.store.as_deref().unwrap_or("backups"),
            &config.root,
            config.ambient.variables(),
        ),
    }
}

/// Gives the archive a person means: its name, or the latest of the database governed.
pub(crate) fn archive_name(context: &Context, store: &Store, named: &str) -> Result<String> {
    let names = store.names()?;
    if named != "latest" {
        // A path is as good as a name: shells complete it.
        let last = named
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(named);
        if names.iter().any(|name| name == last) {
            return Ok(last.to_owned());
        }
        return Err(
            fail(format!("there is no archive `{last}` in {}", store.shown()))
                .hint("`af-db backup list` shows what is there")
                .into(),
        );
    }
    let governed = governed(context);
    let readable = names.iter().filter_map(|name| store.archive(name).ok());
    let ours = readable.filter(|archive| {
        let governed = governed.as_ref();
        governed.is_none_or(|governed| *governed == archive.database)
    });
    // A part of a database is never meant where nobody named it: in the place of the whole it would lose the rest.
    let (whole, parts): (Vec<Archive>, Vec<Archive>) = ours.partition(|one| one.scope.is_whole());
    let newest = |archives: Vec<Archive>| {
        let newest = archives
            .into_iter()
            .max_by(|left, right| left.started.cmp(&right.started));
        newest.map(|archive| archive.name)
    };
    let whose = governed
        .map(|governed| format!(" of `{governed}`"))
        .unwrap_or_default();
    newest(whole).ok_or_else(|| match newest(parts) {
        None => fail(format!("there is no archive{whose} in {}", store.shown()))
            .hint("`af-db backup` makes one, `af-db backup list` shows those of other databases")
            .into(),
        Some(part) => fail(format!(
            "there is no archive of all{whose} in {}",
            store.shown()
        ))
        .hint(format!(
            "name the archive of a part that is meant, such as {part}"
        ))
        .into(),
    })
}

/// Gives the name of the database governed.
pub(crate) fn governed(context: &Context) -> Option<String> {
    let target = context.config.database.writing();
    target.map(|target| target.database().to_owned())
}

/// Says which command would put the last proven backup of a session's database back, where its environment is careful; a store
/// that cannot be asked is no reason not to go on.
pub(crate) fn undoing(context: &Context, session: &Session) -> Option<String> {
    let rules = &context.config.database;
    if !rules.is_protected() && rules.rules.require.is_empty() {
        return None;
    }
    let store = store(context, None).ok()?;
    let facts = session.facts();
    let cluster = facts.system_identifier.map(|number| number.to_string());
    let wanted = Wanted {
        database: &facts.database,
        system_identifier: cluster.as_deref(),
    };
    let (archive, _) = proven::latest(&store, wanted).ok()??;
    let command = proven::undoing(&store, &archive.name);
    let said = format!("the last proven backup would be put back by: {command}");
    context.terminal.say(&said);
    Some(command)
}

/// Gives the column that names the tenant of a row, as af-db.yaml or the policy set says it.
pub(crate) fn tenant_column(context: &Context) -> Result<String> {
    let said = policies::tenancy(&context.config, None)?;
    let configured = context.config.file.tenancy.as_ref();
    let configured = || Some(configured?.get("column")?.as_str()?.to_owned());
    let column = said.map(|tenancy| tenancy.column).or_else(configured);
    column.filter(|column| !column.is_empty()).ok_or_else(|| {
        fail("nothing says which column names the tenant of a row")
            .hint("set tenancy.column in af-db.yaml")
            .into()
    })
}

/// Gives where PostgreSQL's client programs may be.
pub(crate) fn places(context: &Context) -> Result<Places> {
    let embedded = context.config.embedded(None)?;
    Ok(Places {
        named: embedded.binaries,
        path: embedded.path,
    })
}

/// Reads the keys of the identity files named.
pub(crate) fn identities(files: &[std::path::PathBuf]) -> Result<Vec<age::x25519::Identity>> {
    let mut found = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        found.extend(
            seal::identities(&text).with_context(|| format!("reading {}", file.display()))?,
        );
    }
    Ok(found)
}

/// Writes bytes for a person.
pub(crate) fn bytes(number: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{number} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// Writes milliseconds for a person.
pub(crate) fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..60_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        _ => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds / 1000 % 60
        ),
    }
}
