//! Where archives are kept: a folder, or an object store with that feature.
//!
//! An archive becomes visible in one step, when it is complete; what was left behind by a killed run is never listed.

#[cfg(feature = "object-storage")]
mod bucket;
pub mod folder;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::Result;

use crate::archive::{Archive, DESCRIPTION, DESCRIPTION_BYTES};
use crate::error::{Failure, fail};
use crate::file_encoding::Sink;
use crate::sql::redact;

/// Refuses a mistyped URL, which would otherwise create a folder such as `s3:`.
fn check_folder(text: &str) -> Result<()> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    // A single letter is a disk of Windows.
    let is_scheme = scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_scheme {
        return Ok(());
    }
    // What was meant may be the address of a database, with its password.
    let shown = redact::addresses(text);
    let rest = shown[scheme.len() + 1..].trim_start_matches('/');
    Err(fail(format!("`{text}` is neither a folder nor a URL"))
        .hint(format!(
            "write {scheme}://{rest}, or ./{shown} for a folder of that name"
        ))
        .into())
}

/// A place for archives.
#[derive(Clone, Debug)]
pub enum Store {
    /// A folder of this machine.
    Folder(folder::Folder),
    /// A prefix of an object store.
    #[cfg(feature = "object-storage")]
    Bucket(bucket::Bucket),
}

/// Whether an environment variable configures an object store.
#[cfg(feature = "object-storage")]
pub fn is_setting(name: &str) -> bool {
    use object_store::aws::AmazonS3ConfigKey;
    use object_store::azure::AzureConfigKey;
    use object_store::gcp::GoogleConfigKey;

    let key = name.to_ascii_lowercase();
    name.starts_with("AWS_") && key.parse::<AmazonS3ConfigKey>().is_ok()
        || name.starts_with("AZURE_") && key.parse::<AzureConfigKey>().is_ok()
        || name.starts_with("GOOGLE_") && key.parse::<GoogleConfigKey>().is_ok()
}

#[cfg(not(feature = "object-storage"))]
pub fn is_setting(_: &str) -> bool {
    false
}

impl Store {
    /// Takes a folder's path or a URL as a person gives it; a relative path is under `root`.
    ///
    /// What an object store needs to know beside its URL is looked for in the variables, under the names its own tools use.
    pub fn parse(text: &str, root: &Path, variables: &BTreeMap<String, String>) -> Result<Self> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Store::Folder(folder::Folder::new(path)));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            check_folder(text)?;
            return Ok(Store::Folder(folder::Folder::new(root.join(text))));
        };
        #[cfg(feature = "object-storage")]
        if bucket::is_scheme(scheme) {
            return Ok(Store::Bucket(bucket::Bucket::parse(text, variables)?));
        }
        let _ = variables;
        Err(
            fail(format!("unsupported store `{scheme}://`"))
                .hint("use a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; builds without object storage support folders only")
                .into(),
        )
    }

    /// Formats the location without secrets.
    pub fn shown(&self) -> String {
        match self {
            Store::Folder(folder) => folder.path.display().to_string(),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.shown.clone(),
        }
    }

    /// Returns the names of the complete archives; those of one database oldest first.
    pub fn names(&self) -> Result<Vec<String>> {
        match self {
            Store::Folder(folder) => folder.names(),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.names(),
        }
    }

    /// Returns the names of the complete archives that have this file.
    pub fn names_with(&self, file: &str) -> Result<Vec<String>> {
        match self {
            Store::Folder(folder) => folder.names_with(file),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.names_with(file),
        }
    }

    /// Reads the description of an archive.
    pub fn archive(&self, name: &str) -> Result<Archive> {
        let mut bytes = Vec::new();
        self.read(name, DESCRIPTION)?
            .take(DESCRIPTION_BYTES)
            .read_to_end(&mut bytes)?;
        let mut archive = Archive::from_json(name, &bytes)?;
        // The archive may have been copied or renamed; its files are those under the name it is found by.
        name.clone_into(&mut archive.name);
        Ok(archive)
    }

    /// Opens a file of an archive.
    pub fn read(&self, name: &str, file: &str) -> Result<Box<dyn Read + Send>> {
        match self {
            Store::Folder(folder) => folder.read(name, file),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.read(name, file),
        }
    }

    /// Begins an archive of about `bytes` bytes, not yet listed.
    pub fn begin(&self, name: &str, bytes: u64) -> Result<Pending> {
        let _ = bytes;
        match self {
            Store::Folder(folder) => Ok(Pending::Folder(folder.begin(name)?)),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => Ok(Pending::Bucket(bucket.begin(name, bytes)?)),
        }
    }

    /// Returns whether writes go to another machine and must be read back.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Store::Folder(_))
    }

    /// Returns the unfinished archives of killed runs that are not swept automatically.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        match self {
            // The next backup sweeps a folder.
            Store::Folder(_) => Ok(Vec::new()),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.leftovers(),
        }
    }

    /// Names what interrupted backups left in a folder; the next backup removes it.
    pub fn partial(&self) -> Result<Vec<String>> {
        match self {
            Store::Folder(folder) => folder.partial(),
            #[cfg(feature = "object-storage")]
            Store::Bucket(_) => Ok(Vec::new()),
        }
    }

    /// Writes a small file beside a complete archive, such as the report of a drill.
    pub fn add(&self, name: &str, file: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.add(name, file, bytes),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.add(name, file, bytes),
        }
    }

    /// Returns the names of an archive's files, listed in its description or not.
    pub fn files(&self, name: &str) -> Result<Vec<String>> {
        match self {
            Store::Folder(folder) => folder.files(name),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.files(name),
        }
    }

    /// Returns the sizes of an archive's files as the object store reports them.
    pub fn sizes(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        match self {
            Store::Folder(folder) => folder.sizes(name),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.sizes(name),
        }
    }

    /// Removes an archive: the description first, so that no half of one is ever listed.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.remove(name),
            #[cfg(feature = "object-storage")]
            Store::Bucket(bucket) => bucket.remove(name),
        }
    }

    /// Returns the free space, if known.
    pub fn free(&self) -> Option<u64> {
        match self {
            Store::Folder(folder) => folder.free(),
            #[cfg(feature = "object-storage")]
            Store::Bucket(_) => None,
        }
    }
}

/// An archive being written; dropping it removes what was written.
pub enum Pending {
    /// In a folder.
    Folder(folder::Pending),
    /// In an object store.
    #[cfg(feature = "object-storage")]
    Bucket(bucket::Pending),
}

impl Pending {
    /// Begins a file.
    pub fn create(&self, file: &str) -> Result<Box<dyn Sink>> {
        match self {
            Pending::Folder(pending) => pending.create(file),
            #[cfg(feature = "object-storage")]
            Pending::Bucket(pending) => Ok(pending.create(file)),
        }
    }

    /// Ends what waits for a store that does not take more; the archive cannot be completed any more.
    pub fn give_up(&self) {
        match self {
            Pending::Folder(_) => {}
            #[cfg(feature = "object-storage")]
            Pending::Bucket(pending) => pending.give_up(),
        }
    }

    /// Writes the description and makes the archive visible.
    pub fn commit(self, description: &[u8]) -> Result<()> {
        match self {
            Pending::Folder(pending) => pending.commit(description),
            #[cfg(feature = "object-storage")]
            Pending::Bucket(pending) => pending.commit(description),
        }
    }
}

/// The error for a file of an archive that is not a regular file.
fn no_file(name: &str, file: &str) -> Failure {
    fail(format!(
        "backup `{name}` is damaged: {file} is not a regular file"
    ))
    .hint("use another backup; this one cannot be trusted")
}

/// The error for a missing archive or file.
fn missing(name: &str, file: &str, store: &str) -> Failure {
    if file == DESCRIPTION {
        return fail(format!("no backup `{name}` in {store}"))
            .hint("list backups with `af-db backup list`");
    }
    fail(format!("backup `{name}` is damaged: {file} is missing"))
        .hint("use another backup; this one cannot be trusted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_url_is_not_a_folder() {
        let parse = |text: &str| Store::parse(text, Path::new("/project"), &BTreeMap::new());
        for text in ["s3:/bucket/x", "s3:bucket", "gs:/bucket", "file:/tmp/x"] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is neither a folder nor a URL"));
        }
        for text in ["backups", "./s3:/bucket", "/a/b:c", "C:/backups", "a b"] {
            assert!(matches!(parse(text), Ok(Store::Folder(_))), "{text}");
        }
    }
}
