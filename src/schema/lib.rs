//! Schemas and their migrations: read, compared, linted, planned, applied and adopted.

#![allow(
    missing_docs,
    reason = "the `af-db` crate is what is documented for others"
)]

use af_db_base::{disk, error, event, finding, pg, sql, yaml};

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

pub mod manifest;
