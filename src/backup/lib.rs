//! Backups of a database: made with PostgreSQL's own tools, verified, and restored beside the old database.
//!
//! An archive is a folder (or a prefix in an object store) with stored files and `archive.json`, which is written last, so that
//! no archive exists without it. `age -d | zstd -d | pg_restore` opens an archive without af-db.

#![allow(
    missing_docs,
    reason = "the `af-db` crate is what is documented for others"
)]

#[cfg(feature = "object-storage")]
use af_db_base::http;
use af_db_base::{error, event, finding, pg, sql};
use af_db_schema::catalog;

pub mod archive;
pub mod store;

pub mod dump_inspector;
pub mod file_encoding;
pub mod pipe;
pub mod toc;

pub mod clients;
pub mod properties;
pub mod snapshot;

pub mod dump_parts;

pub mod dump;
pub mod proof;

pub mod compare;
pub mod unpack;

pub mod emptiness;
pub mod load;
pub mod mapping;
pub mod profile;
pub mod roles_and_settings;
pub mod swap;

pub mod restore;
pub mod tenant;

pub mod identity;

pub mod pgbackrest;

pub mod prune;
pub mod verification;
