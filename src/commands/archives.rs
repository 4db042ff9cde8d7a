//! Shares what the commands on archives need: which store, which archive, which keys, and how sizes and times are written.

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
pub(crate) fn refuse_unsupported_flags(given: &[(&str, bool)]) -> Result<()> {
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
            config.env.variables(),
        ),
        None => Store::parse(
            config.file.backup.store.as_deref().unwrap_or("backups"),
            &config.root,
            config.env.variables(),
        ),
    }
}

/// An archive that a person means, and where it is.
pub(crate) struct ChosenArchive {
    pub(crate) store: Store,
    pub(crate) name: String,
    /// Whether a person named it, rather than leaving it at `latest`.
    pub(crate) is_named: bool,
}

/// Finds the archive a person means: by its name, by its path or URL, or as the latest of the database in use.
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
        return Err(fail(
            "the archive's path and --from name two different stores; nothing was done",
        )
        .hint("leave out --from, or give only the archive's name")
        .into());
    }
    if !place.names()?.iter().any(|one| one == name) {
        return Err(
            fail(format!("there is no archive `{name}` in {}", place.shown()))
                .hint("`af-db backup list` shows what is there")
                .into(),
        );
    }
    Ok(ChosenArchive {
        store: place,
        name: name.to_owned(),
        is_named: true,
    })
}

/// Splits `STORE/NAME`, which shells complete, into the store and the name; a name alone has no store.
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
        return Err(fail("the path or URL given does not name an archive")
            .hint("write STORE/NAME, or only NAME; `af-db backup list` shows what is there")
            .into());
    }
    let folder = folder.map(|folder| match folder {
        "" => "/",
        "file://" => "file:///",
        folder => folder,
    });
    Ok((folder.map(str::to_owned), name))
}

/// Gives the newest archive of all of the database in use.
async fn newest(context: &Context, store: &Store) -> Result<Archive> {
    let mut archives = of_this_database(context, store).await?;
    for archive in &archives.future {
        let late = format!(
            "{} does not count as the latest: its time, {}, has not come yet",
            archive.name, archive.started
        );
        context.terminal.warn(&late);
    }
    match archives.whole.pop() {
        Some(newest) => Ok(newest),
        None => Err(none(context, store, &archives).into()),
    }
}

/// Gives the archives of the database in use, told from others of its name; where none is configured, of the only one there is.
pub(crate) async fn of_this_database(context: &Context, store: &Store) -> Result<DatabaseArchives> {
    let of = identity(context).await.map_err(|error| {
        let message = format!(
            "the server does not say which database this is, so its archives are unknown: {error:#}"
        );
        fail(message).hint("name the archive; `af-db backup list` shows what is there")
    })?;
    if let Some(of) = &of
        && of.system_identifier.is_none()
    {
        let message = "this role may not read the server's system identifier, so the archives of this database are unknown";
        return Err(fail(message)
            .hint("name the archive, or GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() to the role")
            .into());
    }
    let archives = identity::archives_of(store, of.as_ref(), Utc::now())?;
    if of.is_none() {
        refuse_several(store, &archives.whole)?;
    }
    Ok(archives)
}

/// Says why there is no latest archive.
fn none(context: &Context, store: &Store, archives: &DatabaseArchives) -> Failure {
    let shown = store.shown();
    let target = context.config.database.writing();
    let whose = target.map_or_else(String::new, |of| format!(" of `{}`", of.database()));
    // A part of a database is never meant where nobody named it: in the place of the whole it would lose the rest.
    if let Some(part) = archives.parts.last() {
        return fail(format!("there is no archive of all{whose} in {shown}")).hint(format!(
            "name the archive of a part that is meant, such as {}",
            part.name
        ));
    }
    if let Some(namesake) = archives.namesakes.last() {
        return fail(format!(
            "the archives{whose} in {shown} were made of another database of that name"
        ))
        .hint(format!(
            "name the one that is meant, such as {}; the server or the oid of the database differs",
            namesake.name
        ));
    }
    if let Some(future) = archives.future.last() {
        return fail(format!(
            "every archive{whose} in {shown} is from the future"
        ))
        .hint(format!(
            "set the clock, or name the archive that is meant, such as {}",
            future.name
        ));
    }
    fail(format!("there is no archive{whose} in {shown}"))
        .hint("`af-db backup` makes one, `af-db backup list` shows those of other databases")
}

/// Refuses to choose where nothing says which database is meant.
fn refuse_several(store: &Store, archives: &[Archive]) -> Result<()> {
    let groups = Lineages::read(store, archives)?.groups(archives);
    let distinct: BTreeSet<String> = groups.into_iter().collect();
    if distinct.len() < 2 {
        return Ok(());
    }
    Err(fail(format!(
        "{} holds archives of {} databases, and none is configured here",
        store.shown(),
        distinct.len()
    ))
    .hint("name the archive, or the database with --database-url")
    .into())
}

/// Asks which database is in use; none where no server is configured and the embedded one was never started.
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

/// Says which command would put the last proven backup of a session's database back, where its environment is careful; a store
/// that cannot be asked is no reason not to go on.
pub(crate) fn swap_back_command(context: &Context, session: &Session) -> Option<String> {
    let rules = &context.config.database;
    if !rules.is_protected() && rules.rules().require.is_empty() {
        return None;
    }
    let store = store(context, None).ok()?;
    let (archive, _) =
        verification::latest(&store, &NamedDatabase::of(session), Utc::now()).ok()??;
    let command = swap_command(context, &store, &archive.name);
    let said = format!("the last proven backup would be put back by: {command}");
    context.terminal.say(&said);
    Some(command)
}

/// Writes the command that puts an archive in the place of the database in use, ready to be pasted into a shell.
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

/// Writes where a database is as libpq reads it; its password is to be given another way.
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

/// Quotes a word for a POSIX shell, where it needs it.
pub(crate) fn shell_quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@%+,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Writes an archive's name as an argument that no command takes for a flag.
pub(crate) fn argument(archive: &str) -> String {
    let guard = if archive.starts_with('-') { "-- " } else { "" };
    format!("{guard}{}", shell_quoted(archive))
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
pub(crate) fn places(context: &Context) -> Result<ClientSearchPath> {
    let embedded = context.config.embedded(None)?;
    Ok(ClientSearchPath {
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
            file_encoding::identities(&text)
                .with_context(|| format!("reading {}", file.display()))?,
        );
    }
    Ok(found)
}

/// Says of a database that made room for a restored one how large and how old it is.
pub(crate) fn size_and_age(kept: &KeptDatabase) -> String {
    let size = kept.bytes.and_then(|size| u64::try_from(size).ok());
    let size = size.map_or_else(String::new, |size| format!("{}, ", bytes(size)));
    let days = (Utc::now() - kept.since).num_days().max(0);
    format!(
        "{size}{}",
        count(usize::try_from(days).unwrap_or(0), "day old", "days old")
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_url_names_the_store_it_leads_to() {
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
    fn words_are_quoted_for_the_shell_where_they_need_it() {
        let check = |word: &str, expected: &str| assert_eq!(shell_quoted(word), expected);
        check("app-2026", "app-2026");
        check("s3://bucket/a_b", "s3://bucket/a_b");
        check("", "''");
        check("a b", "'a b'");
        check("it's $HOME", r"'it'\''s $HOME'");
        assert_eq!(argument("-x-2026"), "-- -x-2026");
    }
}
