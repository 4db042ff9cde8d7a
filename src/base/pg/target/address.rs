//! Compares targets: whether two are the same database, and which direct addresses a pooler's host implies.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::{Host, Target};

/// A database on a server, independent of how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The host name, or the project of a provider that has several names for one server.
    pub server: String,
    /// Absent where every port of the host leads to the same server.
    pub port: Option<u16>,
    pub database: String,
}

/// Placeholder for an unknown part of an address.
pub const UNKNOWN: &str = "af-db-unknown";

/// Whether two addresses are the same database, judging by their text alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    Same,
    /// The known parts are equal.
    Unclear,
    /// Not the same, unless the server has another name in DNS.
    Different,
}

impl Target {
    /// Returns every address the target may connect to, in a comparable form.
    ///
    /// Pooler and direct forms of a Supabase project or a Neon branch are the same address. Two names of one server that
    /// only DNS could relate are different.
    pub fn addresses(&self) -> BTreeSet<Address> {
        let of = |server: String, port: Option<u16>| Address {
            server,
            port,
            database: self.database().to_owned(),
        };
        let mut addresses = BTreeSet::new();
        for host in &self.hosts {
            if let Some(provider) = self.provider(host) {
                addresses.insert(of(provider.key(), None));
                continue;
            }
            // With `hostaddr`, the host name is only compared with the certificate.
            let server = match host.address {
                Some(address) => plain_ip(address),
                None => plain(&host.name),
            };
            addresses.insert(of(server, Some(host.port)));
        }
        addresses
    }

    /// Returns whether both may connect to the same database.
    pub fn is_same_database_as(&self, other: &Target) -> bool {
        !self.addresses().is_disjoint(&other.addresses())
    }

    /// Compares with a target of which parts may be [`UNKNOWN`].
    pub fn likeness(&self, other: &Target) -> Likeness {
        let mut likeness = Likeness::Different;
        for one in self.addresses() {
            for two in other.addresses() {
                match one.likeness(&two) {
                    Likeness::Same => return Likeness::Same,
                    Likeness::Unclear => likeness = Likeness::Unclear,
                    Likeness::Different => {}
                }
            }
        }
        likeness
    }

    /// Returns whether the host name follows a provider's scheme that identifies the server.
    pub fn is_known_by_name(&self) -> bool {
        self.hosts.iter().any(|host| self.provider(host).is_some())
    }

    /// Returns direct connections that bypass the pooler, derived from the host name, best first.
    ///
    /// For display: they have not been tried. They include the password, so a caller that connects must ask first when the
    /// host is in another domain.
    pub fn direct(&self) -> Vec<Target> {
        let [host] = self.hosts.as_slice() else {
            return Vec::new();
        };
        match self.provider(host) {
            Some(Provider::Supabase {
                project,
                pooled: true,
            }) => {
                let direct = self.at(&format!("db.{project}.supabase.co"), Some("postgres"));
                // Another role than `postgres` is written as `role.project` for the pooler.
                let role = self
                    .user
                    .as_deref()
                    .and_then(|user| user.strip_suffix(&format!(".{project}")));
                let direct = Target {
                    user: role.map_or(direct.user.clone(), |role| Some(role.to_owned())),
                    ..direct
                };
                vec![direct, self.at(&host.name, None)]
            }
            Some(Provider::Supabase { pooled: false, .. }) if host.port != 5432 => {
                vec![self.at(&host.name, None)]
            }
            Some(Provider::Neon { endpoint, region })
                if host.name != format!("{endpoint}.{region}") =>
            {
                vec![self.at(&format!("{endpoint}.{region}"), None)]
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether the name or port is typical of a transaction pooler.
    pub fn looks_pooled(&self) -> bool {
        self.says_pooler
            || self.hosts.iter().any(|host| {
                host.port == 6543
                    || host.port == 6432
                    || self
                        .direct()
                        .iter()
                        .any(|direct| direct.hosts != self.hosts)
            })
    }

    fn at(&self, name: &str, user: Option<&str>) -> Target {
        Target {
            user: user.map(str::to_owned).or_else(|| self.user.clone()),
            says_pooler: false,
            ..self.with_address(name, 5432)
        }
    }

    fn provider(&self, host: &Host) -> Option<Provider> {
        let name = host.name.to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        if let Some(project) = name
            .strip_prefix("db.")
            .and_then(|rest| rest.strip_suffix(".supabase.co"))
        {
            return Some(Provider::Supabase {
                project: project.to_owned(),
                pooled: false,
            });
        }
        if name.ends_with(".pooler.supabase.com") {
            let from_user = self
                .user
                .as_deref()
                .and_then(|user| Some(user.rsplit_once('.')?.1));
            let from_options = self
                .options
                .as_deref()
                .and_then(|options| Some(options.split_once("reference=")?.1));
            let project = from_user.or(from_options)?.to_ascii_lowercase();
            return Some(Provider::Supabase {
                project,
                pooled: true,
            });
        }
        let (endpoint, region) = name.split_once('.')?;
        (endpoint.starts_with("ep-") && region.ends_with(".neon.tech")).then(|| Provider::Neon {
            endpoint: endpoint
                .strip_suffix("-pooler")
                .unwrap_or(endpoint)
                .to_owned(),
            region: region.to_owned(),
        })
    }
}

/// A provider with several host names for one server.
enum Provider {
    Supabase { project: String, pooled: bool },
    Neon { endpoint: String, region: String },
}

impl Provider {
    fn key(&self) -> String {
        match self {
            Provider::Supabase { project, .. } => format!("supabase:{project}"),
            Provider::Neon { endpoint, region } => format!("neon:{endpoint}.{region}"),
        }
    }
}

impl Address {
    fn likeness(&self, other: &Address) -> Likeness {
        let part = |one: &str, two: &str| {
            if one.contains(UNKNOWN) || two.contains(UNKNOWN) {
                Likeness::Unclear
            } else if one == two {
                Likeness::Same
            } else {
                Likeness::Different
            }
        };
        let server = part(&self.server, &other.server);
        let database = part(&self.database, &other.database);
        let port = server == Likeness::Unclear || self.port == other.port;
        match (server, database, port) {
            (Likeness::Different, ..) | (_, Likeness::Different, _) | (.., false) => {
                Likeness::Different
            }
            (Likeness::Same, Likeness::Same, _) => Likeness::Same,
            _ => Likeness::Unclear,
        }
    }
}

/// Normalizes the names of the local machine, and the spellings of a name.
fn plain(name: &str) -> String {
    // Two socket directories are different servers by their text; whether one is protected is read from its database.
    if ["/tmp", "/var/run/postgresql", "/run/postgresql"].contains(&name) {
        return THIS_MACHINE.to_owned();
    }
    if name.starts_with('/') {
        return name.trim_end_matches('/').to_owned();
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_this_machine = matches!(
        name.as_str(),
        "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback"
    );
    if is_this_machine || name.ends_with(".localhost") {
        return THIS_MACHINE.to_owned();
    }
    match name.parse().ok().or_else(|| loose_ipv4(&name)) {
        Some(address) => plain_ip(address),
        None => name,
    }
}

/// The normalized name of the local machine.
const THIS_MACHINE: &str = "localhost";

fn plain_ip(address: IpAddr) -> String {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        THIS_MACHINE.to_owned()
    } else {
        address.to_string()
    }
}

/// Parses the short, octal, hexadecimal and plain-number forms of an IPv4 address that the C library accepts: `127.1`,
/// `0x7f.1`, `2130706433`.
fn loose_ipv4(name: &str) -> Option<IpAddr> {
    let number = |text: &str| -> Option<u32> {
        let (digits, radix) = match text.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
            None => (text, 10),
        };
        let plain = digits.chars().all(|digit| digit.is_digit(radix));
        plain.then(|| u32::from_str_radix(digits, radix).ok())?
    };
    let parts: Vec<u32> = name.split('.').map(number).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    // The last part fills the bytes that the leading ones, a byte each, leave.
    let room = 4u32.checked_sub(u32::try_from(leading.len()).ok()?)?;
    if room == 0 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    if room < 4 && *last >= 1 << (8 * room) {
        return None;
    }
    let mut address = *last;
    for (part, shift) in leading.iter().zip([24, 16, 8]) {
        address |= part << shift;
    }
    Some(Ipv4Addr::from(address).into())
}
