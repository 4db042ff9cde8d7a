//! PostgreSQL's server programs in one directory, with their version and origin.

use std::fmt;
use std::path::PathBuf;

/// A version of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    /// 0 for a development version.
    pub minor: u32,
}

impl Version {
    /// As in `server_version_num`.
    pub fn number(self) -> u32 {
        self.major * 10_000 + self.minor
    }

    /// Parses the output of `postgres --version`, such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    pub fn read(printed: &str) -> Option<Self> {
        let word = printed
            .split_whitespace()
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
        let digits = |text: &str| {
            let end = text
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse().ok()
        };
        let (major, rest) = word.split_once('.').unwrap_or((word, ""));
        Some(Version {
            major: digits(major)?,
            minor: digits(rest).unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// How the server programs were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Configured by the user.
    Named,
    /// Installed on this machine.
    System,
    /// Downloaded by af-db, now or earlier.
    Fetched,
}

/// A directory with `postgres` and `initdb`.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub directory: PathBuf,
    pub version: Version,
    pub source: Source,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(executable(name))
    }
}

/// Appends the system's extension of executables.
pub fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
