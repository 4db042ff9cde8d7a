//! The keywords of a connection URL.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::{Host, Keepalives, Roots, Secret, SessionAttrs, SslMode, Target, Tls};
use crate::error::{Failure, fail};

/// The keywords that are supported.
const KNOWN: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "connect_timeout",
    "target_session_attrs",
    "channel_binding",
    "options",
    "application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// Keywords of libpq and other clients that are ignored; one URL is often shared by several programs.
const HARMLESS: &[&str] = &[
    "fallback_application_name",
    "sslcompression",
    "sslsni",
    "gssencmode",
    "load_balance_hosts",
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
    "prepared_statements",
    "supa",
];

/// Keywords that request something unsupported; ignoring them could be less safe than what was requested.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        "service",
        "write the connection URL itself: service files are not supported",
    ),
    (
        "servicefile",
        "write the connection URL itself: service files are not supported",
    ),
    ("passfile", "set PGPASSFILE instead"),
    (
        "require_auth",
        "remove require_auth: the authentication method is chosen by the server",
    ),
    (
        "requirepeer",
        "remove requirepeer, or connect over TLS with sslmode=verify-full",
    ),
    (
        "sslcrl",
        "remove the parameter: revocation lists are not supported",
    ),
    (
        "sslcrldir",
        "remove the parameter: revocation lists are not supported",
    ),
    (
        "sslpassword",
        "decrypt the key: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8",
    ),
    ("sslaccept", "use sslmode=verify-full or sslmode=require"),
    (
        "replication",
        "remove replication: replication connections are not supported",
    ),
];

/// Builds a target from keywords and their values.
pub(super) fn target(pairs: Vec<(String, String)>) -> Result<Target> {
    let mut given = Given::default();
    let mut previous = String::new();
    for (key, value) in pairs {
        if !value.is_empty() {
            given.set(&key, &value, &previous)?;
        }
        previous = key;
    }
    Ok(given.finish()?)
}

#[derive(Default)]
struct Given {
    hosts: Vec<String>,
    addresses: Vec<String>,
    ports: Vec<String>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    mode: Option<SslMode>,
    roots: Option<Roots>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    direct: bool,
    connect_timeout: Option<Duration>,
    session_attrs: Option<SessionAttrs>,
    channel_binding: Option<bool>,
    options: Option<String>,
    application_name: Option<String>,
    keepalives: Keepalives,
    says_pooler: bool,
}

impl Given {
    fn set(&mut self, key: &str, value: &str, previous: &str) -> Result<(), Failure> {
        let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match key {
            "host" => self.hosts = list(),
            "hostaddr" => self.addresses = list(),
            "port" => self.ports = list(),
            "user" => self.user = Some(value.to_owned()),
            "password" => self.password = Some(Secret::new(value)),
            "dbname" => self.database = Some(value.to_owned()),
            "options" => self.options = Some(value.to_owned()),
            "application_name" => self.application_name = Some(value.to_owned()),
            "connect_timeout" => self.connect_timeout = seconds(key, value)?,
            "target_session_attrs" => self.session_attrs = Some(one_of(key, value, &ATTRS)?),
            "channel_binding" => self.channel_binding = one_of(key, value, &BINDING)?,
            "keepalives" => self.keepalives.off = number(key, value)? == 0,
            "keepalives_idle" => self.keepalives.idle = seconds(key, value)?,
            "keepalives_interval" => self.keepalives.interval = seconds(key, value)?,
            "keepalives_count" | "keepalives_retries" => {
                self.keepalives.count = u32::try_from(number(key, value)?).ok();
            }
            "tcp_user_timeout" => {
                self.keepalives.unacknowledged = match number(key, value)? {
                    0 => None,
                    milliseconds => Some(Duration::from_millis(milliseconds)),
                };
            }
            "pgbouncer" => self.says_pooler = value == "true",
            _ if key.starts_with("ssl") && KNOWN.contains(&key) => self.set_tls(key, value)?,
            _ => return other(key, value, previous),
        }
        Ok(())
    }

    fn set_tls(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        match key {
            "sslmode" => self.mode = Some(one_of(key, value, &SslMode::ALL)?),
            "sslrootcert" if value == "system" => self.roots = Some(Roots::System),
            "sslrootcert" => self.roots = Some(Roots::File(value.into())),
            "sslcert" => self.cert = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            _ => self.direct = one_of(key, value, &[("postgres", false), ("direct", true)])?,
        }
        Ok(())
    }

    fn finish(self) -> Result<Target, Failure> {
        let hosts = self.host_list()?;
        let tls = self.tls()?;
        Ok(Target {
            hosts,
            user: self.user,
            database: self.database,
            password: self.password,
            tls,
            connect_timeout: self.connect_timeout,
            session_attrs: self.session_attrs.unwrap_or(SessionAttrs::Any),
            channel_binding: self.channel_binding,
            options: self.options,
            application_name: self.application_name,
            keepalives: self.keepalives,
            says_pooler: self.says_pooler,
            confinement: crate::pg::embedded::sandbox::Confinement::None,
        })
    }

    fn tls(&self) -> Result<Tls, Failure> {
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => {
                return Err(
                    fail("sslcert and sslkey must be given together").hint("set both, or neither")
                );
            }
        };
        // `system` trusts every public authority, so it is only safe with the host checked.
        let system = self.roots == Some(Roots::System);
        let least = if system {
            SslMode::VerifyFull
        } else {
            SslMode::Prefer
        };
        let mode = self.mode.unwrap_or(least);
        if system && mode != SslMode::VerifyFull {
            return Err(fail(format!(
                "sslrootcert=system with sslmode={} would accept any certificate for any host",
                mode.name()
            ))
            .hint("use sslmode=verify-full"));
        }
        if self.direct && mode < SslMode::Require {
            return Err(fail(format!(
                "sslnegotiation=direct needs TLS, but sslmode={} may fall back to no TLS",
                mode.name()
            ))
            .hint("use sslmode=require or stronger"));
        }
        Ok(Tls {
            mode,
            roots: self.roots.clone(),
            identity,
            direct: self.direct,
        })
    }

    fn host_list(&self) -> Result<Vec<Host>, Failure> {
        // Like libpq's defaults.
        let fallback = ["/var/run/postgresql".to_owned(), "localhost".to_owned()];
        let names = match (self.hosts.is_empty(), self.addresses.is_empty()) {
            (false, _) => &self.hosts[..],
            (true, false) => &self.addresses[..],
            (true, true) => &fallback[..],
        };
        if !self.addresses.is_empty() && self.addresses.len() != names.len() {
            return Err(fail(format!(
                "the connection URL has {} in `host` but {} in `hostaddr`",
                names.len(),
                self.addresses.len()
            ))
            .hint("give one hostaddr for each host, in the same order"));
        }
        if self.ports.len() > 1 && self.ports.len() != names.len() {
            return Err(fail(format!(
                "the connection URL has {} hosts but {} ports",
                names.len(),
                self.ports.len()
            ))
            .hint("give one port for all hosts, or one for each, in the same order"));
        }
        let mut hosts = Vec::new();
        for (position, name) in names.iter().enumerate() {
            let address = match self.addresses.get(position).filter(|text| !text.is_empty()) {
                Some(text) => Some(text.parse().map_err(|_| {
                    fail("a `hostaddr` in the connection URL is not an IP address")
                        .hint("use `host` for names")
                })?),
                None => None,
            };
            let name = if name.is_empty() { "localhost" } else { name };
            let port = self.ports.get(position).or(self.ports.first());
            hosts.push(Host {
                name: name.to_owned(),
                address,
                port: port.map_or(Ok(5432), |text| port_of(text))?,
                password: None,
            });
        }
        Ok(hosts)
    }
}

const ATTRS: [(&str, SessionAttrs); 6] = [
    ("any", SessionAttrs::Any),
    ("read-write", SessionAttrs::ReadWrite),
    ("read-only", SessionAttrs::ReadOnly),
    ("primary", SessionAttrs::Primary),
    ("standby", SessionAttrs::Standby),
    ("prefer-standby", SessionAttrs::PreferStandby),
];

const BINDING: [(&str, Option<bool>); 3] = [
    ("disable", Some(false)),
    ("prefer", None),
    ("require", Some(true)),
];

fn port_of(text: &str) -> Result<u16, Failure> {
    if text.is_empty() {
        return Ok(5432);
    }
    // The value may be the start of a password with a slash in it, so it is not repeated.
    text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        fail("the port in the connection URL is not a number from 1 to 65535").hint(
            "if the password contains / @ : ? # or %, percent-encode it: / is %2F, @ is %40, : is %3A, ? is %3F, # is %23, % is %25",
        )
    })
}

fn other(key: &str, value: &str, previous: &str) -> Result<(), Failure> {
    if let Some((_, hint)) = UNSUPPORTED.iter().find(|(name, _)| *name == key) {
        return Err(fail(format!("`{key}` in the connection URL is not supported")).hint(*hint));
    }
    match (key, value.to_ascii_lowercase().as_str()) {
        ("client_encoding", "utf8" | "utf-8" | "auto" | "unicode") | ("schema", "public") => Ok(()),
        ("client_encoding", _) => Err(fail(
            "client_encoding in the connection URL is not supported",
        )
        .hint("remove client_encoding: the encoding is always UTF-8")),
        ("schema", _) => Err(fail("`schema` in the connection URL is not supported")
            .hint("set the schemas in af-db.yaml, or options=-csearch_path=…")),
        _ if HARMLESS.contains(&key) => Ok(()),
        _ => Err(unknown(key, previous)),
    }
}

fn unknown(key: &str, previous: &str) -> Failure {
    // After a password with a space in it, the next "key" is its second half.
    let speakable = previous != "password"
        && key.len() <= 32
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let failure = if speakable {
        fail(format!("unknown parameter `{key}` in the connection URL"))
    } else {
        fail("the connection URL has an unknown parameter")
    };
    match nearest(key, KNOWN) {
        Some(name) => failure.hint(format!("did you mean `{name}`?")),
        None => failure.hint(format!("known parameters: {}", KNOWN.join(", "))),
    }
}

fn one_of<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T, Failure> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
        return Ok(*choice);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let failure = fail(format!("unknown {key} `{value}` in the connection URL"));
    Err(match nearest(value, &names) {
        Some(name) => failure.hint(format!("did you mean `{name}`?")),
        None => failure.hint(format!("use one of {}", names.join(", "))),
    })
}

fn number(key: &str, value: &str) -> Result<u64, Failure> {
    value
        .parse()
        .map_err(|_| fail(format!("{key} in the connection URL is not an integer")))
}

/// Parses seconds; 0 means the default.
fn seconds(key: &str, value: &str) -> Result<Option<Duration>, Failure> {
    Ok(match number(key, value)? {
        0 => None,
        seconds => Some(Duration::from_secs(seconds)),
    })
}

/// Finds the intended name: at most two letters away, or a third of it.
fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (distance(text, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3))
        .map(|(_, name)| name)
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
