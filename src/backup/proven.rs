//! Owns the note beside an archive that says when and how it was last proven.
//!
//! It stands apart from `archive.json`, which never changes, and binds itself to it by checksum.

use std::io::Read as _;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::backup::archive::DESCRIPTION;
use crate::backup::restore::Times;
use crate::backup::seal::hex;
use crate::backup::store::Store;

/// The name of the note.
pub const NOTE: &str = "proven.json";

/// How an archive was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// All of it was read and is what it was when it was made.
    Read,
    /// It was restored and compared.
    Restored,
}

/// When and how an archive was last proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proven {
    /// How.
    pub how: How,
    /// When, RFC 3339 in UTC.
    pub at: DateTime<Utc>,
    /// The checksum of the description it speaks of.
    pub archive: String,
    /// How long the restore took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// Notes that an archive was proven now.
pub fn note(store: &Store, name: &str, how: How, times: Option<Times>) -> Result<()> {
    let proven = Proven {
        how,
        at: Utc::now(),
        archive: checksum(store, name)?,
        times,
    };
    // A drill says more than a reading: it is not forgotten because somebody read the archive later.
    if how == How::Read && read(store, name).is_some_and(|before| before.how == How::Restored) {
        return Ok(());
    }
    let mut bytes = serde_json::to_vec_pretty(&proven)?;
    bytes.push(b'\n');
    store.add(name, NOTE, &bytes)
}

/// Reads the note; one that is damaged or speaks of another archive says nothing.
pub fn read(store: &Store, name: &str) -> Option<Proven> {
    let mut bytes = Vec::new();
    let files = store.files(name).ok()?;
    if !files.iter().any(|file| file == NOTE) {
        return None;
    }
    store.read(name, NOTE).ok()?.read_to_end(&mut bytes).ok()?;
    let proven: Proven = serde_json::from_slice(&bytes).ok()?;
    (proven.archive == checksum(store, name).ok()?).then_some(proven)
}

fn checksum(store: &Store, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    store.read(name, DESCRIPTION)?.read_to_end(&mut bytes)?;
    Ok(hex(&Sha256::digest(&bytes)))
}
