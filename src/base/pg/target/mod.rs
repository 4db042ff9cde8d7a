//! The target of a connection: hosts, role, database and TLS.
//!
//! Parsed once, printed without its password. Reads no file and no environment: `config` passes both in.

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

/// libpq's environment variables and their keywords, for [`Target::parse_with`].
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

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    /// Without checking the certificate.
    Require,
    /// Checks that a trusted authority signed the certificate.
    VerifyCa,
    /// Also checks that the certificate is issued for the host.
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

    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, mode)| *mode == self)
            .map_or("prefer", |(name, _)| name)
    }
}

/// The trusted certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// The TLS parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub mode: SslMode,
    /// The trusted certificate authorities, if given.
    pub roots: Option<Roots>,
    /// Paths of the client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether TLS starts without negotiation (PostgreSQL 17).
    pub direct: bool,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionAttrs {
    /// Any server.
    Any,
    /// A server that accepts writes.
    ReadWrite,
    /// A read-only server.
    ReadOnly,
    /// A server not in recovery.
    Primary,
    /// A server in recovery.
    Standby,
    /// A server in recovery, if there is one.
    PreferStandby,
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// Exposes the text for sending it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name or IP address, or a directory (beginning with `/`) with a Unix socket in it.
    pub name: String,
    /// The IP address to connect to instead of resolving the name.
    pub address: Option<IpAddr>,
    pub port: u16,
    // Only from a password file, which may have another one for each host.
    password: Option<Secret>,
}

impl Host {
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

/// A parsed connection URL; `Debug` and `Display` never show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The servers to try, in this order; never empty.
    pub hosts: Vec<Host>,
    /// The role; the operating system's user if not given.
    pub user: Option<String>,
    database: Option<String>,
    password: Option<Secret>,
    pub tls: Tls,
    /// The timeout of one server, if given.
    pub connect_timeout: Option<Duration>,
    pub session_attrs: SessionAttrs,
    /// Whether channel binding is required (`true`), disabled (`false`) or preferred (`None`).
    pub channel_binding: Option<bool>,
    /// libpq's `options`.
    pub options: Option<String>,
    pub application_name: Option<String>,
    /// TCP keepalives that differ from our own defaults.
    pub keepalives: Keepalives,
    /// Whether the connection URL declares a transaction pooler (`pgbouncer=true`).
    pub says_pooler: bool,
    /// Restricts what SQL that is only tried there can access outside of the server.
    pub confinement: Confinement,
}

/// TCP keepalive parameters; absent fields take our defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalives {
    pub off: bool,
    /// Idle time before the first probe.
    pub idle: Option<Duration>,
    /// Time between two probes.
    pub interval: Option<Duration>,
    /// How many probes may be lost.
    pub count: Option<u32>,
    /// How long data may remain unacknowledged.
    pub unacknowledged: Option<Duration>,
}

impl Target {
    /// Parses a URL or a `keyword=value` string.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_with(text, &[])
    }

    /// Parses a URL or a `keyword=value` string, with defaults for missing keywords.
    pub fn parse_with(text: &str, defaults: &[(&str, &str)]) -> Result<Self> {
        let mut pairs = text::pairs(text)?;
        // The IP address of one host is not that of another.
        let names_host = pairs.iter().any(|(key, _)| key == "host");
        for (key, value) in defaults {
            let stray = *key == "hostaddr" && names_host;
            if !stray && !pairs.iter().any(|(known, _)| known == key) {
                pairs.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
        parameters::target(pairs)
    }

    pub fn with_database(&self, database: &str) -> Self {
        Target {
            database: Some(database.to_owned()),
            ..self.clone()
        }
    }

    /// The same target with another role and without a password.
    pub fn with_user(&self, user: &str) -> Self {
        let mut target = self.clone();
        target.user = Some(user.to_owned());
        target.password = None;
        for host in &mut target.hosts {
            host.password = None;
        }
        target
    }

    /// The same database on another host and port.
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

    /// The same database through the Unix socket in a directory.
    pub fn with_socket(&self, directory: &Path) -> Self {
        let port = self.hosts.first().map_or(5432, |host| host.port);
        self.with_address(&directory.to_string_lossy(), port)
    }

    /// The same target with restrictions for SQL that is tried there.
    pub fn confined(&self, confinement: Confinement) -> Self {
        Target {
            confinement,
            ..self.clone()
        }
    }

    pub fn with_password(&self, password: Secret) -> Self {
        Target {
            password: Some(password),
            ..self.clone()
        }
    }

    /// Adds the passwords that the text of a `.pgpass` file has for the target.
    ///
    /// A password in the connection URL takes precedence.
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

    /// Returns the database's name; like libpq, the role's name if none is given.
    pub fn database(&self) -> &str {
        self.database
            .as_deref()
            .or(self.user.as_deref())
            .unwrap_or("postgres")
    }

    pub fn password<'a>(&'a self, host: &'a Host) -> Option<&'a Secret> {
        self.password.as_ref().or(host.password.as_ref())
    }

    /// Returns libpq's environment variables for the target, for PostgreSQL's own programs.
    ///
    /// The password is passed here only: an argument list can be read by every user of the machine.
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
