//! Owns where archives are kept: a folder, or an object store where that feature is built in.
//!
//! An archive becomes visible in one step, when it is complete; what was left behind by a killed run is never listed.

pub mod folder;

use std::io::Read;
use std::path::Path;

use anyhow::Result;

use crate::backup::archive::{Archive, DESCRIPTION};
use crate::backup::seal::Sink;
use crate::error::fail;

/// A place for archives.
#[derive(Clone, Debug)]
pub enum Store {
    /// A folder of this machine.
    Folder(folder::Folder),
}

impl Store {
    /// Takes a folder's path or a URL as a person gives it; a relative path is under `root`.
    pub fn parse(text: &str, root: &Path) -> Result<Self> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Store::Folder(folder::Folder::new(path)));
        }
        match text.split_once("://") {
            None => Ok(Store::Folder(folder::Folder::new(root.join(text)))),
            Some((scheme, _)) => Err(fail(format!("a store cannot be of the kind `{scheme}://`"))
                .hint("use a folder")
                .into()),
        }
    }

    /// Names it for a person, without secrets.
    pub fn shown(&self) -> String {
        match self {
            Store::Folder(folder) => folder.path.display().to_string(),
        }
    }

    /// Gives the names of the complete archives, oldest first where they are of one database.
    pub fn names(&self) -> Result<Vec<String>> {
        match self {
            Store::Folder(folder) => folder.names(),
        }
    }

    /// Reads the description of an archive.
    pub fn archive(&self, name: &str) -> Result<Archive> {
        let mut bytes = Vec::new();
        self.read(name, DESCRIPTION)?.read_to_end(&mut bytes)?;
        Archive::from_json(name, &bytes)
    }

    /// Opens a file of an archive.
    pub fn read(&self, name: &str, file: &str) -> Result<Box<dyn Read + Send>> {
        match self {
            Store::Folder(folder) => folder.read(name, file),
        }
    }

    /// Begins an archive that nobody sees yet.
    pub fn begin(&self, name: &str) -> Result<Pending> {
        match self {
            Store::Folder(folder) => Ok(Pending::Folder(folder.begin(name)?)),
        }
    }

    /// Writes a small file beside a complete archive, such as the report of a drill.
    pub fn add(&self, name: &str, file: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.add(name, file, bytes),
        }
    }

    /// Gives the names of the files of an archive, whether listed in it or not.
    pub fn files(&self, name: &str) -> Result<Vec<String>> {
        match self {
            Store::Folder(folder) => folder.files(name),
        }
    }

    /// Removes an archive: the description first, so that no half of one is ever listed.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.remove(name),
        }
    }

    /// Gives the bytes free for new archives, where that can be known.
    pub fn free(&self) -> Option<u64> {
        match self {
            Store::Folder(folder) => folder.free(),
        }
    }
}

/// An archive being written; dropping it removes what was written.
pub enum Pending {
    /// In a folder.
    Folder(folder::Pending),
}

impl Pending {
    /// Begins a file.
    pub fn create(&self, file: &str) -> Result<Box<dyn Sink>> {
        match self {
            Pending::Folder(pending) => pending.create(file),
        }
    }

    /// Writes the description and makes the archive visible.
    pub fn commit(self, description: &[u8]) -> Result<()> {
        match self {
            Pending::Folder(pending) => pending.commit(description),
        }
    }
}
