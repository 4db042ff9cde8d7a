//! Archives in an object store: each a prefix whose `archive.json` is written last, after everything else was read back.
//!
//! Nothing is ever overwritten: the name of an archive is claimed first, and what a killed run left behind has no description
//! and is listed nowhere. Parts of an upload that was killed are the store's own to remove, by a rule of the bucket.

mod download;
mod errors;
mod location;
mod transport;
mod upload;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use crate::archive::{self, DESCRIPTION};
use crate::error::fail;
use crate::file_encoding::Sink;
use crate::identity;
use crate::verification;
use worker::Worker;

/// The object that reserves the name of an archive while it is written.
const CLAIM: &str = "claim";
/// What an unfinished archive must have rested before it counts as left behind.
const LEFT_BEHIND: TimeDelta = TimeDelta::days(2);
/// The least size of a part; stores take no less than 5 MiB.
const PART: u64 = 8 << 20;
/// The most parts of an upload, with room to spare for a dump that compresses badly.
const PARTS: u64 = 5_000;

/// A file and when it was last written.
type TimedObject = (String, DateTime<Utc>);

/// A prefix of an object store that holds archives.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    worker: Worker,
    pub(super) shown: String,
}

impl std::fmt::Debug for Bucket {
    /// Shows the URL only: the client holds credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

pub(super) fn is_scheme(scheme: &str) -> bool {
    location::SCHEMES.contains(&scheme)
}

impl Bucket {
    /// Takes a URL; credentials and settings come from the variables.
    pub(super) fn parse(url: &str, variables: &BTreeMap<String, String>) -> Result<Self> {
        let place = location::parse(url, variables)?;
        Ok(Bucket {
            store: place.store,
            prefix: place.prefix,
            worker: Worker::start()?,
            shown: place.shown,
        })
    }

    fn path(&self, name: &str, file: &str) -> Path {
        self.prefix.clone().join(name).join(file)
    }

    /// Runs a request and says in words why it failed.
    fn ask<T: Send + 'static>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T> {
        self.worker
            .wait(work)?
            .map_err(|error| errors::in_words(&self.shown, doing, &error).into())
    }

    fn objects(&self, under: &Path) -> Result<Vec<ObjectMeta>> {
        let (store, under) = (Arc::clone(&self.store), under.clone());
        self.ask("listing", async move {
            store.list(Some(&under)).try_collect().await
        })
    }

    /// Returns the objects of every archive, complete or not, by name.
    fn archives(&self) -> Result<BTreeMap<String, Vec<TimedObject>>> {
        let mut archives: BTreeMap<String, Vec<TimedObject>> = BTreeMap::new();
        for object in self.objects(&self.prefix)? {
            let parts: Option<Vec<String>> = object
                .location
                .prefix_match(&self.prefix)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect());
            if let Some([name, file]) = parts.as_deref() {
                let files = archives.entry(name.clone()).or_default();
                files.push((file.clone(), object.last_modified));
            }
        }
        Ok(archives)
    }

    pub(super) fn names(&self) -> Result<Vec<String>> {
        self.names_with(DESCRIPTION)
    }

    pub(super) fn names_with(&self, wanted: &str) -> Result<Vec<String>> {
        let has = |files: &[TimedObject], name: &str| files.iter().any(|(file, _)| file == name);
        let archives = self.archives()?.into_iter();
        Ok(archives
            .filter(|(_, files)| has(files, DESCRIPTION) && has(files, wanted))
            .map(|(name, _)| name)
            .collect())
    }

    /// Returns the unfinished archives of killed runs, after a grace period.
    pub(super) fn leftovers(&self) -> Result<Vec<String>> {
        let before = Utc::now() - LEFT_BEHIND;
        let small = [CLAIM, identity::NOTE, verification::NOTE];
        let is_ours = |file: &str| small.contains(&file) || archive::is_stored_name(file);
        // Other objects under the prefix are not ours.
        let is_left = |files: &[TimedObject]| {
            files
                .iter()
                .all(|(file, modified)| is_ours(file) && *modified < before)
        };
        let archives = self.archives()?.into_iter();
        Ok(archives
            .filter(|(name, files)| archive::is_archive_name(name) && is_left(files))
            .map(|(name, _)| name)
            .collect())
    }

    pub(super) fn files(&self, name: &str) -> Result<Vec<String>> {
        let under = self.prefix.clone().join(name);
        let objects = self.objects(&under)?;
        let files: BTreeSet<String> = objects
            .iter()
            .filter_map(|object| object.location.filename().map(str::to_owned))
            .collect();
        Ok(files.into_iter().collect())
    }

    pub(super) fn sizes(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        let objects = self.objects(&self.prefix.clone().join(name))?;
        let sized = objects.iter().filter_map(|object| {
            let file = object.location.filename()?.to_owned();
            Some((file, object.size))
        });
        Ok(sized.collect())
    }

    pub(super) fn read(&self, name: &str, file: &str) -> Result<Box<dyn Read + Send>> {
        let (store, path) = (Arc::clone(&self.store), self.path(name, file));
        let got = self.worker.wait(async move { store.get(&path).await })?;
        match got {
            Ok(got) => Ok(Box::new(download::Download::new(
                &self.worker,
                &self.shown,
                got,
            ))),
            Err(Error::NotFound { .. }) => Err(super::missing(name, file, &self.shown).into()),
            Err(error) => Err(errors::in_words(&self.shown, "reading", &error).into()),
        }
    }

    /// Begins an archive of about so many bytes.
    pub(super) fn begin(&self, name: &str, bytes: u64) -> Result<Pending> {
        let taken =
            || fail(format!("backup `{name}` already exists")).hint("wait a second and try again");
        if !self.files(name)?.is_empty() {
            return Err(taken().into());
        }
        let (store, path) = (Arc::clone(&self.store), self.path(name, CLAIM));
        // The claim decides which of two backups of the same second writes under the name.
        let claimed = self.worker.wait(async move {
            let create = PutPayload::from_static(b"an archive is being written\n");
            store.put_opts(&path, create, PutMode::Create.into()).await
        })?;
        match claimed {
            Ok(_) => {}
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                return Err(taken().into());
            }
            Err(error) => {
                return Err(errors::in_words(&self.shown, "writing to", &error).into());
            }
        }
        Ok(Pending {
            bucket: self.clone(),
            name: name.to_owned(),
            part: usize::try_from((bytes / PARTS).max(PART).next_multiple_of(1 << 20))?,
            given_up: Arc::default(),
            committed: false,
        })
    }

    pub(super) fn add(&self, name: &str, file: &str, bytes: &[u8]) -> Result<()> {
        let (store, path) = (Arc::clone(&self.store), self.path(name, file));
        let payload = PutPayload::from(bytes.to_vec());
        self.ask("writing to", async move {
            store.put(&path, payload).await.map(|_| ())
        })
    }

    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let mut files = self.files(name)?;
        files.sort_by_key(|file| file != DESCRIPTION);
        for file in files {
            let (store, path) = (Arc::clone(&self.store), self.path(name, &file));
            self.ask("removing from", async move { store.delete(&path).await })?;
        }
        Ok(())
    }
}

/// An archive being written.
pub struct Pending {
    bucket: Bucket,
    name: String,
    part: usize,
    given_up: Arc<AtomicBool>,
    committed: bool,
}

impl Pending {
    pub(super) fn create(&self, file: &str) -> Box<dyn Sink> {
        let path = self.bucket.path(&self.name, file);
        let given_up = Arc::clone(&self.given_up);
        Box::new(upload::Upload::new(
            self.bucket.clone(),
            path,
            self.part,
            given_up,
        ))
    }

    /// Ends uploads that are waiting for the store.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn commit(mut self, description: &[u8]) -> Result<()> {
        let bucket = &self.bucket;
        bucket.add(&self.name, DESCRIPTION, description)?;
        let mut stored = Vec::new();
        bucket
            .read(&self.name, DESCRIPTION)?
            .read_to_end(&mut stored)?;
        if stored != description {
            return Err(fail(format!(
                "{} returns {DESCRIPTION} with different content; no backup was made",
                bucket.shown
            ))
            .into());
        }
        self.committed = true;
        let (store, claim) = (Arc::clone(&bucket.store), bucket.path(&self.name, CLAIM));
        // A leftover claim in a complete archive does no harm.
        let _ = bucket
            .worker
            .wait(async move { store.delete(&claim).await });
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.committed {
            // What stays in spite of this is listed nowhere, and pruned when it is old.
            let _ = self.bucket.remove(&self.name);
        }
    }
}
