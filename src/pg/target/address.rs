//! Owns when two targets are the same database, and where a pooler's own server stands.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Host, Target};

/// One database on one server, whatever way it is reached by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The server: its name, or the project where a provider has several names for one.
    pub server: String,
    /// The port; absent where every port of the server leads to the same place.
    pub port: Option<u16>,
    /// The database.
    pub database: String,
}

impl Target {
    /// Gives every address the target may lead to, comparable with those of another.
    ///
    /// Pooler and direct forms of a Supabase project or a Neon branch are one address. Two names of one server that
    /// only DNS could tell are two.
    pub fn addresses(&self) -> BTreeSet<Address> {
        self.hosts
            .iter()
            .map(|host| {
                let (server, port) = match self.provider(host) {
                    Some(provider) => (provider.key(), None),
                    None => (plain(host), Some(host.port)),
                };
                Address {
                    server,
                    port,
                    database: self.database().to_owned(),
                }
            })
            .collect()
    }

    /// Says whether both may lead to the same database.
    pub fn is_same_database_as(&self, other: &Target) -> bool {
        !self.addresses().is_disjoint(&other.addresses())
    }

    /// Gives the ways around the pooler that the address is known to have, best first.
    ///
    /// For showing to a person: they are derived from names and have not been tried. The password comes along, so a
    /// caller that connects must ask first when the host is under another domain.
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
                // Another role than `postgres` is carried as `role.project` through the pooler.
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

    /// Says whether the name or port is one under which a transaction pooler usually stands.
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

/// A host that has several names for one server.
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

/// Gives one name to the many of the machine itself, and to the many spellings of a name.
fn plain(host: &Host) -> String {
    if ["/tmp", "/var/run/postgresql", "/run/postgresql"].contains(&host.name.as_str()) {
        return "localhost".to_owned();
    }
    if host.is_socket() {
        return host.name.trim_end_matches('/').to_owned();
    }
    let name = host.name.trim_end_matches('.').to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => "localhost".to_owned(),
        Ok(address) => address.to_string(),
        Err(_) => name,
    }
}
