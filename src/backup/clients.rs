//! PostgreSQL's client programs: choosing the `pg_dump` and `pg_restore` that fit, and their connection settings.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::pg::embedded::binaries::{self, Version};
use crate::pg::embedded::find;
use crate::pg::program::Program;
use crate::pg::target::Target;
use crate::toc::{self, Toc};

/// Where client programs are looked for.
#[derive(Clone, Debug, Default)]
pub struct ClientSearchPath {
    /// The configured directory, which excludes all others.
    pub named: Option<PathBuf>,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
}

/// The client programs of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    pub directory: PathBuf,
    pub version: Version,
}

impl Clients {
    /// Prepares one of the programs for a database.
    pub fn tool(&self, name: &str, target: &Target) -> Program {
        let tool = Program::new(self.directory.join(binaries::executable(name)));
        let tool = target
            .environment()
            .into_iter()
            .fold(tool, |tool, (name, value)| tool.env(name, value));
        // `timestamptz` values print in the session's time zone; row hashes need a fixed one.
        tool.env("PGTZ", "UTC").env("PGAPPNAME", "af-db")
    }

    /// Reads the schema of a database as a dump in this encoding has it; `doing` says for what.
    pub async fn schema(&self, target: &Target, encoding: &str, doing: &str) -> Result<Toc> {
        let dump = self
            .tool("pg_dump", target)
            .args([
                "--format=custom",
                "--compress=0",
                "--schema-only",
                "--no-password",
            ])
            .arg(format!("--encoding={encoding}"))
            .run()
            .await?
            .check(doing)?;
        toc::read(&dump.stdout)?.with_context(|| doing.to_owned())
    }
}

/// Finds every installed version of the client programs, newest first.
pub async fn search(places: &ClientSearchPath) -> Result<Vec<Clients>> {
    let mut directories = Vec::new();
    match &places.named {
        Some(named) => directories.push(named.clone()),
        None => {
            let known = find::WELL_KNOWN.iter().copied();
            directories.extend(known.flat_map(find::expand));
            directories.extend(places.path.iter().cloned());
        }
    }
    let mut found: Vec<Clients> = Vec::new();
    for directory in directories {
        if let Some(clients) = look(&directory).await
            && !found.contains(&clients)
        {
            found.push(clients);
        }
    }
    found.sort_by_key(|clients| std::cmp::Reverse(clients.version));
    Ok(found)
}

async fn look(directory: &Path) -> Option<Clients> {
    let dump = directory.join(binaries::executable("pg_dump"));
    let restore = directory.join(binaries::executable("pg_restore"));
    if !dump.exists() || !restore.exists() {
        return None;
    }
    let done = Program::new(&dump).arg("--version").run().await.ok()?;
    Some(Clients {
        directory: directory.to_owned(),
        version: Version::read(&done.text())?,
    })
}

/// Chooses the programs for a dump: the server's own major version, else the next newer one.
pub fn for_dump(found: &[Clients], server_major: u32) -> Result<&Clients> {
    choose(found, server_major).ok_or_else(|| missing(found, server_major))
}

/// Chooses the programs for a restore: those of the target server, if they can read the archive.
pub fn for_restore(found: &[Clients], server_major: u32, dump_major: u32) -> Result<&Clients> {
    let least = server_major.max(dump_major);
    choose(found, least).ok_or_else(|| missing(found, least))
}

/// Reads the major version of the `pg_dump` that made an archive.
pub fn for_dump_version(printed: &str) -> Result<u32> {
    let version = Version::read(printed);
    let unclear = || {
        fail(format!(
            "the backup was made by pg_dump with the unrecognized version `{printed}`"
        ))
    };
    Ok(version.ok_or_else(unclear)?.major)
}

fn choose(found: &[Clients], least: u32) -> Option<&Clients> {
    let fits = found
        .iter()
        .filter(|clients| clients.version.major >= least);
    // Among equal majors the newest minor; an older major before a newer one.
    fits.min_by_key(|clients| {
        (
            clients.version.major,
            std::cmp::Reverse(clients.version.minor),
        )
    })
}

fn missing(found: &[Clients], major: u32) -> anyhow::Error {
    let message = match found.first() {
        None => format!("no pg_dump of PostgreSQL {major} or newer found"),
        Some(newest) => format!(
            "no pg_dump of PostgreSQL {major} or newer found; the newest is {}",
            newest.version
        ),
    };
    fail(message)
        .hint(format!(
            "install the client programs, such as the package postgresql-client-{major}, or set AF_DB_PG_BIN to their directory"
        ))
        .into()
}

/// Formats a database name as a connection string, so that a name is never parsed as one.
pub fn conninfo(database: &str) -> String {
    let escaped = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(major: u32, minor: u32) -> Clients {
        Clients {
            directory: PathBuf::from("/x"),
            version: Version { major, minor },
        }
    }

    #[test]
    fn the_client_fits_the_server() {
        let found = [
            clients(17, 1),
            clients(16, 2),
            clients(16, 9),
            clients(14, 3),
        ];
        assert_eq!(for_dump(&found, 16).unwrap().version.minor, 9);
        assert_eq!(for_dump(&found, 15).unwrap().version.major, 16);
        let error = for_dump(&found, 18).unwrap_err();
        assert!(error.to_string().contains("PostgreSQL 18"), "{error}");
        assert_eq!(for_restore(&found, 14, 16).unwrap().version.major, 16);
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        assert_eq!(conninfo("a='b' \\"), "dbname='a=\\'b\\' \\\\'");
    }
}
