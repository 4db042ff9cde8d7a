//! Owns archives of a database: made by PostgreSQL's own tools, proven by us, put back beside the old one.
//!
//! An archive is a folder (or a prefix in an object store) of stored files and `archive.json`, which is written last: what
//! has none is no archive. `age -d | zstd -d | pg_restore` opens it without us.

pub mod archive;
pub mod store;

pub mod relay;
pub mod seal;
pub mod tap;
pub mod toc;

pub mod clients;
pub mod facts;
pub mod snapshot;

pub mod parts;

pub mod dump;
pub mod proof;

pub mod compare;
pub mod unpack;

pub mod load;
pub mod mapping;
pub mod profile;
pub mod surroundings;
pub mod swap;

pub mod restore;
pub mod tenant;

pub mod pgbackrest;

pub mod drill;
pub mod proven;
pub mod prune;
