//! Many databases governed as one: who they are, in which order they are changed, how many at once, when to stop.
//!
//! Knows nothing of migrations; a command brings the work that is done on each database.

mod inventory;
mod run;
mod wave;

pub use inventory::{Member, Reader, read};
pub use run::{Flow, each};
pub use wave::{Wave, split};

use std::time::Duration;

/// The databases and how they are to be treated.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Every database, by name.
    pub members: Vec<Member>,
    /// The waves in their order; what no wave names comes in a last one.
    pub waves: Vec<wave::Spec>,
    /// How much at once.
    pub limits: Limits,
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
