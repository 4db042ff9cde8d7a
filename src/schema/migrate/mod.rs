//! Owns migrations: the files of a folder, the history in a database, what is pending, and applying it.
//!
//! Stands on refinery for the file grammar, the checksums, the history table and the verdict what runs; how it runs
//! is `plan::execution`.

pub mod apply;
pub mod checksum;
pub mod directive;
pub mod files;
mod halt;
pub mod history;
pub mod job;
pub mod journal;
pub(crate) mod name;
pub mod planned;
pub mod refinery;
pub mod standing;
pub mod static_checks;
pub mod verify;
pub mod write;
