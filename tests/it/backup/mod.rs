//! Backups and restores against a real server.

mod command;
mod confirmation;
mod damage;
mod drill;
mod emptiness;
mod faults;
mod hooks;
mod identity;
#[cfg(feature = "object-storage")]
mod objects;
mod parallel_dump;
mod partial_archives;
mod pgbackrest;
mod proof;
mod refusals;
mod roundtrip;
mod server_failures;
mod supabase;
mod tenant;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use af_db::backup::archive::{Archive, Scope};
use af_db::backup::dump;
use af_db::backup::mapping::Mapping;
use af_db::backup::profile::Profile;
use af_db::backup::restore::{self, Destination, Restored};
use af_db::backup::store::Store;
use af_db::backup::unpack::{self, ArchiveSource, Verified};
use af_db::event::{Interrupt, silent};
use af_db::pg::target::Target;
use anyhow::Result;

use crate::support::server::{self, Database, Server};

/// A server of its own, because roles are made, with a store beside it.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let server = server::own(None).await;
        let database = server.database().await;
        Bench {
            server,
            database,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A bench whose database holds one of everything.
    pub(crate) async fn full() -> Self {
        let bench = Bench::new().await;
        bench.database.run(include_str!("everything.sql")).await;
        bench
    }

    pub(crate) fn store(&self) -> Store {
        Store::parse("store", self.folder.path(), &BTreeMap::new()).expect("a store")
    }

    pub(crate) fn archive_path(&self, archive: &Archive) -> PathBuf {
        self.folder.path().join("store").join(&archive.name)
    }

    pub(crate) async fn backup(&self) -> Archive {
        self.try_backup(&options(&self.database.target))
            .await
            .expect("a backup")
    }

    /// Makes an archive; its name has the second in it, so another of the same second has to pass first.
    pub(crate) async fn next_backup(&self, options: &dump::Options) -> Archive {
        loop {
            match self.try_backup(options).await {
                Ok(archive) => return archive,
                Err(error) => assert!(error.to_string().contains("already"), "{error:#}"),
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let second = u64::from(now.expect("a clock").subsec_micros());
            tokio::time::sleep(Duration::from_micros(1_000_000 - second)).await;
        }
    }

    pub(crate) async fn try_backup(&self, options: &dump::Options) -> Result<Archive> {
        dump::run(options, &self.store(), &silent, &Interrupt::default()).await
    }

    pub(crate) async fn verify(
        &self,
        archive: &Archive,
        identities: &[age::x25519::Identity],
    ) -> Result<Verified> {
        let store = self.store();
        let source = ArchiveSource {
            store: &store,
            name: &archive.name,
            identities,
        };
        unpack::verify(&source, &silent, &Interrupt::default()).await
    }

    pub(crate) fn restore_options(&self, name: &str) -> restore::Options {
        restore_options(
            &self.database.target.with_database(name),
            self.folder.path(),
        )
    }

    pub(crate) async fn restore(
        &self,
        archive: &Archive,
        options: &restore::Options,
    ) -> Result<Restored> {
        restore::run(
            options,
            &self.store(),
            &archive.name,
            &silent,
            &Interrupt::default(),
        )
        .await
    }

    /// Returns the names of all databases but the system's.
    pub(crate) async fn databases(&self) -> Vec<String> {
        let rows = self
            .database
            .rows("SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1') ORDER BY 1")
            .await;
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }
}

pub(crate) fn options(target: &Target) -> dump::Options {
    dump::Options {
        target: target.clone(),
        label: None,
        scope: Scope::default(),
        history: af_db::sql::name::ObjectName::new("public", "refinery_schema_history"),
        recipients: Vec::new(),
        places: server::places(),
        jobs: None,
        wait: Duration::ZERO,
        lock_timeout: Duration::from_secs(2),
        stall_timeout: Duration::from_secs(60),
        read_back: true,
    }
}

pub(crate) fn restore_options(target: &Target, scratch: &Path) -> restore::Options {
    restore::Options {
        target: target.clone(),
        place: Destination::New,
        identities: Vec::new(),
        places: server::places(),
        scratch: scratch.to_owned(),
        jobs: 2,
        no_owner: false,
        role_attributes: std::collections::BTreeSet::new(),
        mapping: Mapping::default(),
        profile: Profile::Plain,
    }
}

/// Replaces the age of a backup in a question.
fn without_age(text: &str) -> String {
    let Some((before, after)) = text.split_once(" old)") else {
        return text.to_owned();
    };
    let (before, _) = before.rsplit_once('(').expect("an age in parentheses");
    format!("{before}(AGE old){after}")
}
