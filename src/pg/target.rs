//! Owns the address of a database: parsed once, printed without its password.

use std::fmt;

use anyhow::{Context as _, Result};

/// How far TLS is asked for and checked, as libpq names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server insists.
    Allow,
    /// If the server offers it.
    Prefer,
    /// Always, without looking at the certificate.
    Require,
    /// Always, with a certificate signed by a known authority.
    VerifyCa,
    /// Always, with a certificate for this very host.
    VerifyFull,
}

/// Where a database is and as whom to enter; `Debug` and `Display` never show the password.
#[derive(Clone)]
pub struct Target {
    /// What the driver needs.
    pub driver: tokio_postgres::Config,
    /// TLS, kept apart because the driver knows only three of the modes.
    pub ssl_mode: SslMode,
    /// The root certificate to check against, where given.
    pub ssl_root_cert: Option<std::path::PathBuf>,
}

impl Target {
    /// Reads a URL or a keyword/value string.
    pub fn parse(text: &str) -> Result<Self> {
        let driver: tokio_postgres::Config =
            text.parse().context("reading the database address")?;
        Ok(Target {
            driver,
            ssl_mode: SslMode::Prefer,
            ssl_root_cert: None,
        })
    }

    /// Gives the same server with another database.
    pub fn with_database(&self, database: &str) -> Self {
        let mut target = self.clone();
        target.driver.dbname(database);
        target
    }

    /// Gives the same database with another user and no password.
    pub fn with_user(&self, user: &str) -> Self {
        let mut target = self.clone();
        target.driver.user(user);
        target
    }

    /// Gives the database's name; the user's where none was said, as libpq does.
    pub fn database(&self) -> &str {
        self.driver
            .get_dbname()
            .or(self.driver.get_user())
            .unwrap_or("postgres")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.database())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}
