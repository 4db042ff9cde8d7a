//! What the commands on archives share: choosing the store, the archive and the keys, and formatting sizes and times.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use chrono::Utc;

use crate::backup::archive::{Archive, DESCRIPTION};
use crate::backup::clients::ClientSearchPath;
use crate::backup::file_encoding;
use crate::backup::identity::{self, DatabaseArchives, Lineages, NamedDatabase};
use crate::backup::pgbackrest::Stanza;
use crate::backup::restore::leftovers::KeptDatabase;
use crate::backup::store::Store;
use crate::backup::verification;
use crate::commands::page::count;
use crate::commands::{Context, Purpose, embedded, policies};
use crate::config::DatabaseSource;
use crate::error::{Failure, fail};
use crate::pg::session::Session;
use crate::pg::target::{Host, Target};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Backups of one database, made with pg_dump
    #[default]
    Dump,
    /// An existing pgBackRest setup: whole clusters, point-in-time recovery
    Pgbackrest,
}

#[derive(clap::Args, Debug)]
pub(crate) struct EngineArgs {
    /// Backup engine
    #[arg(long, value_enum, default_value_t)]
    pub(crate) engine: Engine,
    /// pgBackRest: stanza
    #[arg(long, value_name = "NAME", default_value = "main")]
    stanza: String,
    /// pgBackRest: configuration file [default: pgBackRest's own]
    #[arg(long, value_name = "FILE")]
    pgbackrest_config: Option<std::path::PathBuf>,
}

impl EngineArgs {
    pub(crate) fn stanza(&self) -> Result<Stanza> {
        Stanza::new(&self.stanza, self.pgbackrest_config.as_deref())
    }
}

pub(crate) fn first_given<'a>(flags: &[(&'a str, bool)]) -> Option<&'a str> {
    let given = flags.iter().find(|(_, is_given)| *is_given);
    given.map(|(flag, _)| *flag)
}

/// Refuses flags that have no meaning for pgBackRest, which copies whole clusters.
pub(crate) fn refuse_unsupported_flags(given: &[(&str, bool)]) -> Result<()> {
    match first_given(given) {
        None => Ok(()),
        Some(flag) => Err(fail(format!(
            "pgBackRest works on whole servers and does not support {flag}; nothing was done"
        ))
        .hint(format!(
            "omit {flag} or --engine pgbackrest; pgBackRest has its own configuration file"
        ))
        .into()),
    }
}

/// Opens the store named by a flag, else by `backup.store`, else the folder `backups`.
pub(crate) fn store(context: &Context, named: Option<&str>) -> Result<Store> {
    let config = &context.config;
    match named {
        // A flag is relative to the current directory, the configuration to the project.
        Some(named) => Store::parse(
            named,
            &std::env::current_dir().context("reading the current folder")?,
            config.env.variables(),
        ),
        None => Store::parse(
            config.file.backup.store.as_deref().unwrap_or("backups"),
            &config.root,
            config.env.variables(),
        ),
    }
}

pub(crate) struct ChosenArchive {
    pub(crate) store: Store,
    pub(crate) name: String,
    /// False for `latest`.
    pub(crate) is_named: bool,
}

/// Finds an archive by its name, by its path or URL, or as the latest of the database in use.
pub(crate) async fn choose(
    context: &Context,
    from: Option<&str>,
    named: &str,
) -> Result<ChosenArchive> {
    if named == "latest" {
        let store = store(context, from)?;
        let name = newest(context, &store).await?.name;
        return Ok(ChosenArchive {
            store,
            name,
            is_named: false,
        });
    }
    let (folder, name) = split(named)?;
    let place = store(context, folder.as_deref().or(from))?;
    if let (Some(_), Some(from)) = (&folder, from)
        && place.shown() != store(context, Some(from))?.shown()
    {
        return Err(
            fail("the backup's path and --from name different stores; nothing was done")
                .hint("omit --from, or give only the backup's name")
                .into(),
        );
    }
    if !place.names()?.iter().any(|one| one == name) {
        return Err(fail(format!("no backup `{name}` in {}", place.shown()))
            .hint("list backups with `af-db backup list`")
            .into());
    }
    Ok(ChosenArchive {
        store: place,
        name: name.to_owned(),
        is_named: true,
    })
}

/// Splits `STORE/NAME` (as shells complete it) into store and name; a name alone has no store.
fn split(named: &str) -> Result<(Option<String>, &str)> {
    let trimmed = named.trim_end_matches('/');
    let trimmed = trimmed
        .strip_suffix(DESCRIPTION)
        .and_then(|rest| rest.strip_suffix('/'))
        .map_or(trimmed, |rest| rest.trim_end_matches('/'));
    let (folder, name) = match trimmed.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, trimmed),
    };
    let is_bucket = folder.is_some_and(|folder| folder.ends_with(":/"));
    let is_name = !matches!(name, "" | "." | "..") && !is_bucket;
    if !is_name {
        return Err(fail("the given path or URL does not name a backup")
            .hint("use STORE/NAME or NAME; list backups with `af-db backup list`")
            .into());
    }
    let folder = folder.map(|folder| match folder {
        "" => "/",
        "file://" => "file:///",
        folder => folder,
    });
    Ok((folder.map(str::to_owned), name))
}

/// Returns the newest full archive of the database in use.
async fn newest(context: &Context, store: &Store) -> Result<Archive> {
    let mut archives = of_this_database(context, store).await?;
    for archive in &archives.future {
        let late = format!(
            "backup {} is skipped as latest: its time {} is in the future",
            archive.name, archive.started
        );
        context.terminal.warn(&late);
    }
    match archives.whole.pop() {
        Some(newest) => Ok(newest),
        None => Err(no_latest(context, store, &archives).into()),
    }
}

/// Returns the archives of the database in use; without a configured database, of the only database in the store.
pub(crate) async fn of_this_database(context: &Context, store: &Store) -> Result<DatabaseArchives> {
    let of = identity(context).await.map_err(|error| {
        let message =
            format!("cannot identify this database, so its latest backup is unknown: {error:#}");
        fail(message).hint("name the backup; list backups with `af-db backup list`")
    })?;
    if let Some(of) = &of
        && of.system_identifier.is_none()
    {
        let message = "this role may not read the system identifier, so the latest backup of this database is unknown";
        return Err(fail(message)
            .hint("name the backup, or GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO the role")
            .into());
    }
    let archives = identity::archives_of(store, of.as_ref(), Utc::now())?;
    if of.is_none() {
        refuse_several(store, &archives.whole)?;
    }
    Ok(archives)
}

/// Explains why there is no latest archive.
fn no_latest(context: &Context, store: &Store, archives: &DatabaseArchives) -> Failure {
    let shown = store.shown();
    let target = context.config.database.writing();
    let whose = target.map_or_else(String::new, |of| format!(" of `{}`", of.database()));
    // A partial archive is used only if named: in place of the whole it would lose the rest.
    if let Some(part) = archives.parts.last() {
        return fail(format!("no full backup{whose} in {shown}")).hint(format!(
            "name a partial backup explicitly, such as {}",
            part.name
        ));
    }
    if let Some(namesake) = archives.namesakes.last() {
        return fail(format!(
            "the backups{whose} in {shown} belong to a different database of the same name"
        ))
        .hint(format!(
            "name one explicitly, such as {}; the server or the oid of the database differs",
            namesake.name
        ));
    }
    if let Some(future) = archives.future.last() {
        return fail(format!(
            "every backup{whose} in {shown} has a time in the future"
        ))
        .hint(format!(
            "correct the clock, or name a backup explicitly, such as {}",
            future.name
        ));
    }
    fail(format!("no backup{whose} in {shown}"))
        .hint("make one with `af-db backup`; list all backups with `af-db backup list`")
}

/// Refuses to choose among the archives of several databases.
fn refuse_several(store: &Store, archives: &[Archive]) -> Result<()> {
    let groups = Lineages::read(store, archives)?.groups(archives);
    let distinct: BTreeSet<String> = groups.into_iter().collect();
    if distinct.len() < 2 {
        return Ok(());
    }
    Err(fail(format!(
        "{} contains backups of {} databases, and no database is configured",
        store.shown(),
        distinct.len()
    ))
    .hint("name the backup, or set the database with --database-url")
    .into())
}

/// Identifies the database in use; `None` if no server is configured and the embedded one was never started.
pub(crate) async fn identity(context: &Context) -> Result<Option<NamedDatabase>> {
    if let Some(target) = context.config.database.writing() {
        return NamedDatabase::at(target, &context.watch()).await.map(Some);
    }
    if !embedded::place(context).data().exists() {
        return Ok(None);
    }
    let (session, _) = context.open(Purpose::Reading).await?;
    let identity = NamedDatabase::of(&session);
    session.close().await;
    Ok(Some(identity))
}

/// Returns the command that restores the last verified backup, for protected environments and those with guards; an
/// unreachable store does not stop the run.
pub(crate) fn swap_back_command(context: &Context, session: &Session) -> Option<String> {
    let rules = &context.config.database;
    if !rules.is_protected() && rules.rules().require.is_empty() {
        return None;
    }
    let store = store(context, None).ok()?;
    let (archive, _) =
        verification::latest(&store, &NamedDatabase::of(session), Utc::now()).ok()??;
    let command = swap_command(context, &store, &archive.name);
    let said = format!("to restore the last verified backup: {command}");
    context.terminal.say(&said);
    Some(command)
}

/// Formats the `restore --swap` command for an archive, quoted for a shell.
fn swap_command(context: &Context, store: &Store, archive: &str) -> String {
    let database = &context.config.database;
    let mut words = vec![
        "af-db".to_owned(),
        "restore".to_owned(),
        "--swap".to_owned(),
    ];
    match (&database.source, database.writing()) {
        (DatabaseSource::Environment(name), _) => words.push(format!("--env={name}")),
        (DatabaseSource::Flag | DatabaseSource::Fleet, Some(target)) => {
            words.push(format!(
                "--database-url={}",
                conninfo_without_password(target)
            ));
        }
        _ => {}
    }
    words.push(format!("--from={}", store.shown()));
    if archive.starts_with('-') {
        words.push("--".to_owned());
    }
    words.push(archive.to_owned());
    let quoted: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
    quoted.join(" ")
}

/// Formats a libpq connection string without the password.
fn conninfo_without_password(target: &Target) -> String {
    let list = |of: &dyn Fn(&Host) -> String| {
        let each: Vec<String> = target.hosts.iter().map(of).collect();
        each.join(",")
    };
    let value = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
    let mut words = vec![
        format!("host={}", value(&list(&|host| host.name.clone()))),
        format!("port={}", list(&|host| host.port.to_string())),
        format!("dbname={}", value(target.database())),
    ];
    if let Some(user) = &target.user {
        words.push(format!("user={}", value(user)));
    }
    words.push(format!("sslmode={}", target.tls.mode.name()));
    words.join(" ")
}

/// Quotes a word for a POSIX shell where needed.
pub(crate) fn shell_quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Formats an archive's name as an argument that is not parsed as a flag.
pub(crate) fn argument(archive: &str) -> String {
    let guard = if archive.starts_with('-') { "-- " } else { "" };
    format!("{guard}{}", shell_quoted(archive))
}

/// Returns the tenant column from af-db.yaml or the policy set.
pub(crate) fn tenant_column(context: &Context) -> Result<String> {
    let said = policies::tenancy(&context.config, None)?;
    let configured = context.config.file.tenancy.as_ref();
    let configured = || Some(configured?.get("column")?.as_str()?.to_owned());
    let column = said.map(|tenancy| tenancy.column).or_else(configured);
    column.filter(|column| !column.is_empty()).ok_or_else(|| {
        fail("no tenant column is configured")
            .hint("set tenancy.column in af-db.yaml")
            .into()
    })
}

pub(crate) fn client_search_path(context: &Context) -> Result<ClientSearchPath> {
    let embedded = context.config.embedded(None)?;
    Ok(ClientSearchPath {
        named: embedded.binaries,
        path: embedded.path,
    })
}

pub(crate) fn identities(files: &[std::path::PathBuf]) -> Result<Vec<age::x25519::Identity>> {
    let mut found = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        found.extend(
            file_encoding::identities(&text)
                .with_context(|| format!("reading {}", file.display()))?,
        );
    }
    Ok(found)
}

/// Formats the size and age of a database that a restore replaced.
pub(crate) fn size_and_age(kept: &KeptDatabase) -> String {
    let size = kept.bytes.and_then(|size| u64::try_from(size).ok());
    let size = size.map_or_else(String::new, |size| format!("{}, ", bytes(size)));
    let days = (Utc::now() - kept.since).num_days().max(0);
    format!(
        "{size}{}",
        count(usize::try_from(days).unwrap_or(0), "day old", "days old")
    )
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_url_is_split_into_store_and_name() {
        let check = |named: &str, expected: Option<(Option<&str>, &str)>| {
            let found = split(named).ok();
            let found = found
                .as_ref()
                .map(|(folder, name)| (folder.as_deref(), *name));
            assert_eq!(found, expected, "{named}");
        };
        for (named, store) in [
            ("a-1", None),
            ("a-1/", None),
            ("./a-1", Some(".")),
            ("backups/a-1//", Some("backups")),
            ("/a-1", Some("/")),
            ("/other/store/a-1/archive.json", Some("/other/store")),
            ("s3://bucket/a-1", Some("s3://bucket")),
            ("s3://bucket/prefix/a-1/", Some("s3://bucket/prefix")),
            ("file:///a-1", Some("file:///")),
            ("file:///x/a-1", Some("file:///x")),
        ] {
            check(named, Some((store, "a-1")));
        }
        for named in ["s3://bucket", "/", "..//..", "x/.", "x/.."] {
            check(named, None);
        }
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        let check = |word: &str, expected: &str| assert_eq!(shell_quoted(word), expected);
        check("app-2026", "app-2026");
        check("s3://bucket/a_b", "s3://bucket/a_b");
        check("", "''");
        check("a b", "'a b'");
        check("it's $HOME", r"'it'\''s $HOME'");
        assert_eq!(argument("-x-2026"), "-- -x-2026");
    }
}
