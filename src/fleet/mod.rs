//! Fleets: many databases managed together, their order in waves, concurrency and failure budget.
//!
//! The work on each database is passed in by the commands.

#![allow(missing_docs, reason = "names that explain themselves need no comment")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::pg::target::Target;

pub mod citus;
mod inventory;
mod run;
mod wave;

pub use inventory::{InventoryContext, read};
pub use run::{NextStep, for_each_member};
pub use wave::{Wave, split};

#[derive(Clone, Debug)]
pub struct Fleet {
    pub members: Vec<Member>,
    /// In order; databases in no wave form a last one.
    pub waves: Vec<wave::WaveSpec>,
    pub limits: Limits,
    /// The migrations of the objects shared by the tenants of a database, if any.
    pub shared: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct Member {
    /// Unique within the fleet.
    pub name: String,
    pub target: Target,
    /// The schema, where tenants share a database.
    pub tenant: Option<Tenant>,
    /// Attributes by which waves select databases.
    pub attributes: BTreeMap<String, String>,
}

impl Member {
    pub fn server(&self) -> String {
        let hosts: Vec<String> = self.target.hosts.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }

    /// Identifies the database.
    pub fn location(&self) -> String {
        format!("{}/{}", self.server(), self.target.database())
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            None => write!(f, "{}", self.target),
            Some(tenant) => write!(f, "schema {} of {}", tenant.schema, self.target),
        }
    }
}

/// A tenant that is one schema of a shared database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub schema: String,
    /// The schemas of all tenants of the fleet.
    pub siblings: Arc<BTreeSet<String>>,
}

/// Concurrency, failure budget and retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Databases at once.
    pub concurrency: usize,
    /// Databases at once on one server.
    pub per_server: usize,
    /// The failure budget: databases that may fail before no further one is started.
    pub failures: usize,
    /// How often a locked database is retried, after the others.
    pub retries: usize,
    /// The connection timeout.
    pub patience: Duration,
}
