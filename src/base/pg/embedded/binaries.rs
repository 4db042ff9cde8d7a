//! PostgreSQL's server programs in one directory, with their version and origin.

use std::fmt;
use std::path::PathBuf;

/// A version of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Such as 17.
    pub major: u32,
    /// Such as 4; 0 for a development version.
    pub minor: u32,
}

impl Version {
    /// Returns what `server_version_num` would say.
    pub fn number(self) -> u32 {
        self.major * 10_000 + self.minor
    }

    /// Reads what `postgres --version` prints, such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
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

/// How server programs came to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The user named the directory.
    Named,
    /// Installed on this machine.
    System,
    /// Fetched by us, now or earlier.
    Fetched,
}

/// A directory with `postgres` and `initdb`.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub directory: PathBuf,
    pub version: Version,
    /// How they came to be here.
    pub source: Source,
}

impl Binaries {
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(executable(name))
    }
}

/// Names a program's file.
pub fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
