//! What every part of af-db stands on: errors, findings, files, SQL text and connections to PostgreSQL.

#![allow(
    missing_docs,
    reason = "the `af-db` crate is what is documented for others"
)]

pub mod disk;
pub mod error;
pub mod event;
pub mod finding;
pub mod http;
pub mod visible;
pub mod yaml;

pub mod pg;
pub mod sql;
