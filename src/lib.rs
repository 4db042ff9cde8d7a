//! Moves, checks and proves PostgreSQL schemas, row-level security and backups.
//!
//! # The line
//!
//! ```text
//! finding error event visible disk yaml http | sql pg | plan catalog diff | migrate lint shadow adopt copy manifest rls backup | drill fleet | config commands cli
//! ```
//!
//! A module may `use crate::` only what stands to its left; commands do not import each other. `tests/it/tidy.rs`
//! checks it.
//!
//! The line is cut into crates, so that a change compiles only what stands to its right: `af-db-base` up to `pg`, `af-db-schema`
//! up to `manifest`, `af-db-rls`, `af-db-backup`, and this one, which shows them all under one name.

pub use af_db_backup as backup;
pub use af_db_base::{disk, error, event, finding, http, pg, sql, visible, yaml};
pub use af_db_rls as rls;
#[cfg(feature = "sqlite")]
pub use af_db_schema::copy;
pub use af_db_schema::{adopt, catalog, diff, lint, manifest, migrate, plan, shadow};

pub mod drill;
pub mod fleet;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod commands;
#[cfg(feature = "cli")]
pub mod config;
