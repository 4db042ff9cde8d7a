//! Owns the address of a database: where it is, as whom to enter and how far to trust what answers.
//!
//! Parsed once, printed without its password. Reads no file and no environment: `config` hands both in.

mod address;
mod parameters;
mod passfile;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::pg::embedded::sandbox::Confinement;

pub use address::{Address, Likeness, UNKNOWN};

/// The keyword each of libpq's environment variables stands for, for [`Target::parse_with`].
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGDATABASE", "dbname"),
    ("PGOPTIONS", "options"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// How far TLS is asked for and checked, as libpq names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl SslMode {
    /// Every mode with libpq's name for it, weakest first.
    pub const ALL: [(&str, SslMode); 6] = [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];

    /// Returns libpq's name.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, mode)| *mode == self)
            .map_or("prefer", |(name, _)| name)
    }
}

/// Whose word counts for the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The authorities the operating system trusts.
    System,
    /// The authorities in this file.
    File(PathBuf),
}

/// What is wanted of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// How far it is asked for and checked.
    pub mode: SslMode,
    /// Who vouches for the server, where said.
    pub roots: Option<Roots>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether TLS begins at once, without asking (PostgreSQL 17).
    pub direct: bool,
}

/// What kind of server is looked for among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAttrs {
    /// Whichever answers.
    Any,
    /// One whose sessions may write.
    ReadWrite,
    /// One whose sessions may not write.
    ReadOnly,
    /// One that is not in recovery.
    Primary,
    /// One that is in recovery.
    Standby,
    /// One that is in recovery if there is any.
    PreferStandby,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// Returns the text to whoever must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// One server that may be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name or literal address, or a directory (beginning with `/`) with a Unix socket in it.
    pub name: String,
    /// The address to dial instead of looking the name up.
    pub address: Option<IpAddr>,
    pub port: u16,
    // Only from a password file, which may hold another one for each host.
    password: Option<Secret>,
}

impl Host {
    /// Returns whether the server is reached through a Unix socket.
    pub fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// Where a database is and as whom to enter; `Debug` and `Display` never show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The servers to try, in this order; never empty.
    pub hosts: Vec<Host>,
    /// The role; the operating system's user where none was said.
    pub user: Option<String>,
    database: Option<String>,
    password: Option<Secret>,
    /// What is wanted of TLS.
    pub tls: Tls,
    /// How long one server may take to let us in, where said.
    pub connect_timeout: Option<Duration>,
    /// What kind of server is looked for.
    pub session_attrs: SessionAttrs,
    /// Whether the password exchange must be bound to the TLS channel; `None` where it may.
    pub channel_binding: Option<bool>,
    /// Settings for the server process, as libpq's `options`.
    pub options: Option<String>,
    /// The name we go by in the server's list of sessions, where said.
    pub application_name: Option<String>,
    /// TCP keepalives, where said otherwise than our own.
    pub keepalives: Keepalives,
    /// Whether the address itself says that a transaction pooler stands there (`pgbouncer=true`).
    pub says_pooler: bool,
    /// What keeps SQL that is only tried there from reaching out of the server.
    pub confinement: Confinement,
}

/// When a silent connection is given up; absent fields take our own values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalives {
    /// Whether they are switched off.
    pub off: bool,
    /// Silence before the first is sent.
    pub idle: Option<Duration>,
    /// Time between two.
    pub interval: Option<Duration>,
    /// How many may stay unanswered.
    pub count: Option<u32>,
    /// How long data sent may stay unacknowledged.
    pub unacknowledged: Option<Duration>,
}

impl Target {
    /// Reads a URL or a `keyword=value` string.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_with(text, &[])
    }

    /// Reads a URL or a `keyword=value` string, with values for the keywords it leaves out.
    pub fn parse_with(text: &str, defaults: &[(&str, &str)]) -> Result<Self> {
        let mut pairs = text::pairs(text)?;
        // The numeric address of one host is not that of another.
        let names_host = pairs.iter().any(|(key, _)| key == "host");
        for (key, value) in defaults {
            let stray = *key == "hostaddr" && names_host;
            if !stray && !pairs.iter().any(|(known, _)| known == key) {
                pairs.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
        parameters::target(pairs)
    }

    /// Returns the same server with another database.
    pub fn with_database(&self, database: &str) -> Self {
        Target {
            database: Some(database.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the same database with another user and no password.
    pub fn with_user(&self, user: &str) -> Self {
        let mut target = self.clone();
        target.user = Some(user.to_owned());
        target.password = None;
        for host in &mut target.hosts {
            host.password = None;
        }
        target
    }

    /// Returns the same database at another host and port.
    pub fn with_address(&self, host: &str, port: u16) -> Self {
        Target {
            hosts: vec![Host {
                name: host.to_owned(),
                address: None,
                port,
                password: self.hosts.first().and_then(|host| host.password.clone()),
            }],
            ..self.clone()
        }
    }

    /// Returns the same database on the server whose Unix socket lies in a directory.
    pub fn with_socket(&self, directory: &Path) -> Self {
        let port = self.hosts.first().map_or(5432, |host| host.port);
        self.with_address(&directory.to_string_lossy(), port)
    }

    /// Returns the same database, and says what confines SQL that is tried there.
    pub fn confined(&self, confinement: Confinement) -> Self {
        Target {
            confinement,
            ..self.clone()
        }
    }

    /// Returns the same database with a password.
    pub fn with_password(&self, password: Secret) -> Self {
        Target {
            password: Some(password),
            ..self.clone()
        }
    }

    /// Returns the same target with the passwords that the text of a `.pgpass` file has for it.
    ///
    /// A password that the address itself holds stays.
    pub fn with_password_from(&self, passfile: &str) -> Self {
        let mut target = self.clone();
        if target.password.is_some() {
            return target;
        }
        let user = self.user.clone().unwrap_or_default();
        for host in &mut target.hosts {
            host.password = passfile::password(passfile, host, self.database(), &user);
        }
        target
    }

    /// Returns the database's name; the user's where none was said, as libpq does.
    pub fn database(&self) -> &str {
        self.database
            .as_deref()
            .or(self.user.as_deref())
            .unwrap_or("postgres")
    }

    pub fn password<'a>(&'a self, host: &'a Host) -> Option<&'a Secret> {
        self.password.as_ref().or(host.password.as_ref())
    }

    /// Returns what PostgreSQL's own programs need to reach the same database, as environment variables.
    ///
    /// The password travels here and nowhere else: an argument list is read by everybody on the machine.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let join =
            |of: fn(&Host) -> String| self.hosts.iter().map(of).collect::<Vec<_>>().join(",");
        let mut variables = vec![
            ("PGHOST", join(|host| host.name.clone())),
            ("PGPORT", join(|host| host.port.to_string())),
            ("PGDATABASE", self.database().to_owned()),
            ("PGSSLMODE", self.tls.mode.name().to_owned()),
        ];
        if self.hosts.iter().any(|host| host.address.is_some()) {
            let address = |host: &Host| host.address.map(|ip| ip.to_string()).unwrap_or_default();
            variables.push(("PGHOSTADDR", join(address)));
        }
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let password = self.hosts.first().and_then(|host| self.password(host));
        let (cert, key) = self
            .tls
            .identity
            .as_ref()
            .map_or((None, None), |(cert, key)| {
                (Some(path(cert)), Some(path(key)))
            });
        let roots = self.tls.roots.as_ref().map(|roots| match roots {
            Roots::System => "system".to_owned(),
            Roots::File(file) => path(file),
        });
        let seconds = self
            .connect_timeout
            .map(|time| time.as_secs().max(1).to_string());
        let binding = self.channel_binding.map(|required| {
            let name = if required { "require" } else { "disable" };
            name.to_owned()
        });
        let optional = [
            ("PGUSER", self.user.clone()),
            (
                "PGPASSWORD",
                password.map(|secret| secret.reveal().to_owned()),
            ),
            ("PGOPTIONS", self.options.clone()),
            ("PGSSLROOTCERT", roots),
            ("PGSSLCERT", cert),
            ("PGSSLKEY", key),
            ("PGCHANNELBINDING", binding),
            ("PGCONNECT_TIMEOUT", seconds),
        ];
        variables.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        variables
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        for (position, host) in self.hosts.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        write!(f, "/{}", self.database())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests;
