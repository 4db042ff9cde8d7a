//! Many databases governed as one: who they are, in which order they are changed, how many at once, when to stop.
//!
//! Running them is a command's business, which brings the work that is done on each database.

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
pub use run::{NextStep, each};
pub use wave::{Wave, split};

/// The databases and how they are to be treated.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Every database, by name.
    pub members: Vec<Member>,
    /// The waves in their order; what no wave names comes in a last one.
    pub waves: Vec<wave::WaveSpec>,
    /// How much at once.
    pub limits: Limits,
    /// The migrations of what the tenants of a database share; none where they share nothing.
    pub shared: Option<PathBuf>,
}

/// One database of a fleet.
#[derive(Clone, Debug)]
pub struct Member {
    /// How people call it; unique within the fleet.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// The schema that it is, where tenants share a database.
    pub tenant: Option<Tenant>,
    /// What else is known of it, for waves to choose by.
    pub attributes: BTreeMap<String, String>,
}

impl Member {
    pub fn server(&self) -> String {
        let hosts: Vec<String> = self.target.hosts.iter().map(ToString::to_string).collect();
        hosts.join(",")
    }

    /// Names the database it is, or is in.
    pub fn place(&self) -> String {
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

/// A schema that stands for a database, where tenants share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub schema: String,
    /// The schemas of all tenants of the fleet.
    pub siblings: Arc<BTreeSet<String>>,
}

/// How much is done at once, and how much may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Databases at once.
    pub concurrency: usize,
    /// Databases at once on one server.
    pub per_server: usize,
    /// Databases that may fail before no further one is begun.
    pub failures: usize,
    /// How often a database that was locked is tried again, after the others.
    pub retries: usize,
    /// How long a database may take to answer the first time.
    pub patience: Duration,
}
