//! Moves, checks and proves PostgreSQL schemas, row-level security and backups.
//!
//! # The line
//!
//! ```text
//! finding error event yaml | sql pg | plan catalog diff | migrate lint shadow adopt copy manifest rls backup fleet | config commands cli
//! ```
//!
//! A module may `use crate::` only what stands to its left; commands do not import each other. `tests/it/tidy.rs`
//! checks it.

// Each group stands on the ones above it.
pub mod error;
pub mod event;
pub mod finding;
pub mod yaml;

pub mod pg;
pub mod sql;

pub mod plan;

pub mod catalog;
pub mod diff;

pub mod migrate;

pub mod lint;
pub mod shadow;

// Other tools' migrations become ours, and are proven on a shadow before they do.
pub mod adopt;

// Rows of a development database follow the migrations that made their tables.
#[cfg(feature = "sqlite")]
pub mod copy;

pub mod backup;
pub mod fleet;
pub mod manifest;
pub mod rls;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod commands;
#[cfg(feature = "cli")]
pub mod config;
