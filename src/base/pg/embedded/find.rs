//! Finds PostgreSQL's server programs on this machine, and records where it looked.
//!
//! Downloads nothing; see `fetch`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::error::fail;
use crate::pg::embedded::Options;
use crate::pg::embedded::binaries::{Binaries, Source, Version, executable};
use crate::pg::embedded::privileges::{self, User};
use crate::pg::program::Program;

/// The oldest supported major version.
pub const OLDEST_MAJOR: u32 = 14;

/// The programs found, and the places where nothing suitable was found.
#[derive(Debug, Default)]
pub struct Search {
    /// In order of preference.
    pub found: Vec<Binaries>,
    /// Places with unsuitable programs, and the reason.
    pub looked: Vec<(PathBuf, String)>,
    /// Why nothing was downloaded, where that was tried.
    pub fetching: Option<String>,
}

impl Search {
    /// Returns the best programs of a major version, or the newest of all.
    pub fn best(&self, major: Option<u32>) -> Option<&Binaries> {
        match major {
            Some(major) => self.found.iter().find(|it| it.version.major == major),
            None => self.newest(),
        }
    }

    /// Returns the newest programs; of equal versions the first found.
    pub fn newest(&self) -> Option<&Binaries> {
        self.found
            .iter()
            .rev()
            .max_by_key(|binaries| binaries.version)
    }
}

/// Searches the directory configured by the user only, or every place where PostgreSQL is usually installed.
pub async fn search(options: &Options, user: Option<&User>) -> Result<Search> {
    let mut search = Search::default();
    if let Some(named) = &options.binaries {
        consider(&mut search, named, Source::Named, user).await;
        if search.found.is_empty() {
            let place = named.display();
            let reason = search.looked.pop().map_or(String::new(), |(_, why)| why);
            return Err(fail(format!("cannot use PostgreSQL in {place}: {reason}"))
                .hint("set AF_DB_PG_BIN to the directory with postgres and initdb, or unset it")
                .into());
        }
        return Ok(search);
    }
    for directory in &options.path {
        if directory.join(executable("postgres")).exists() {
            consider(&mut search, directory, Source::System, user).await;
        }
    }
    for directory in well_known() {
        consider(&mut search, &directory, Source::System, user).await;
    }
    Ok(search)
}

/// Runs `pg_config` as a last resort: on some machines it is a slow script.
pub async fn ask_pg_config(options: &Options, user: Option<&User>, search: &mut Search) {
    for directory in &options.path {
        let program = directory.join(executable("pg_config"));
        if !program.exists() {
            continue;
        }
        if let Ok(done) = Program::new(&program).arg("--bindir").run().await
            && done.status.success()
        {
            consider(search, Path::new(&done.text()), Source::System, user).await;
        }
        return;
    }
}

/// Adds the programs of a directory to the search, or the reason why they are unsuitable.
pub async fn consider(search: &mut Search, directory: &Path, source: Source, user: Option<&User>) {
    let judged = match resolve_links(directory) {
        // The path may reach a known place by another name.
        Ok(settled) if search.found.iter().any(|known| known.directory == settled) => return,
        Ok(settled) => inspect(settled, source, user).await,
        Err(reason) => Err(reason),
    };
    match judged {
        Ok(binaries) => search.found.push(binaries),
        Err(reason) => search.looked.push((directory.to_owned(), reason)),
    }
}

async fn inspect(
    directory: PathBuf,
    source: Source,
    user: Option<&User>,
) -> Result<Binaries, String> {
    let postgres = directory.join(executable("postgres"));
    if !privileges::can_reach(user, &postgres) {
        let name = user.map_or("", |user| &user.name);
        return Err(format!("not accessible to the user `{name}`"));
    }
    let printed = Program::new(&postgres)
        .arg("--version")
        .user(user)
        .run()
        .await
        .and_then(|done| done.check("postgres --version"))
        .map_err(|error| error.to_string())?
        .text();
    let version = Version::read(&printed).ok_or_else(|| format!("unknown version: {printed}"))?;
    if version.major < OLDEST_MAJOR {
        return Err(format!("{version} is older than {OLDEST_MAJOR}"));
    }
    Ok(Binaries {
        directory,
        version,
        source,
    })
}

/// Resolves the link of `postgres` itself: a directory of links would be found twice, and its `initdb` would look for its
/// files in the wrong place.
fn resolve_links(directory: &Path) -> Result<PathBuf, String> {
    let postgres = directory.join(executable("postgres"));
    let real = postgres
        .canonicalize()
        .map_err(|_| "postgres is missing".to_owned())?;
    let parent = real.parent().unwrap_or(directory);
    for place in [parent, directory] {
        if place.join(executable("initdb")).exists() {
            return Ok(place.to_owned());
        }
    }
    Err("initdb is missing".to_owned())
}

/// Patterns of directories in which installers put PostgreSQL; `*` matches within one name.
pub const WELL_KNOWN: &[&str] = if cfg!(target_os = "macos") {
    &[
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
        "/opt/homebrew/opt/postgresql/bin",
        "/Applications/Postgres.app/Contents/Versions/*/bin",
        "/Library/PostgreSQL/*/bin",
        "/opt/local/lib/postgresql*/bin",
        "/usr/local/pgsql/bin",
        "/run/current-system/sw/bin",
    ]
} else if cfg!(windows) {
    &["C:/Program Files/PostgreSQL/*/bin"]
} else {
    &[
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/usr/libexec/postgresql*",
        "/usr/lib64/postgresql-*/bin",
        "/usr/local/pgsql/bin",
        "/usr/local/pgsql-*/bin",
        "/opt/postgresql/*/bin",
        "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
        "/run/current-system/sw/bin",
    ]
};

/// Returns the usual installation directories that contain a server, newest names first.
pub fn well_known() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for pattern in WELL_KNOWN {
        let mut matches = expand(pattern);
        matches.sort();
        matches.reverse();
        directories.extend(
            matches
                .into_iter()
                .filter(|directory| directory.join(executable("postgres")).exists()),
        );
    }
    directories
}

/// Expands a pattern with at most one `*`.
pub fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = std::fs::read_dir(Path::new(parent)) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read() {
        let check = |printed, expected: Option<(u32, u32)>| {
            let read = Version::read(printed).map(|version| (version.major, version.minor));
            assert_eq!(read, expected, "{printed}");
        };
        check(
            "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
            Some((15, 18)),
        );
        check("postgres (PostgreSQL) 18beta1", Some((18, 0)));
        check("postgres (PostgreSQL) 19devel", Some((19, 0)));
        check("postgres (PostgreSQL)", None);
        let version = Version {
            major: 17,
            minor: 10,
        };
        assert_eq!(version.number(), 170_010);
    }

    #[test]
    fn patterns_expand_in_one_name_only() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["pgsql-16/bin", "pgsql-17/bin", "other/bin"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let pattern = format!("{}/pgsql-*/bin", folder.path().display());
        let mut found = expand(&pattern);
        found.sort();
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("pgsql-16/bin"));
    }
}
