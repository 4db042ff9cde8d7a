//! Matches archives to databases by cluster and oid; the name is only a label.
//!
//! A restored database has a different oid than the one it replaced. The store records that beside the archive it was
//! restored from, and each later archive repeats it, so that the archives of both still belong to one database.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::archive::Archive;
use crate::event::Watch;
use crate::finding::Finding;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::store::Store;

/// The file beside an archive that records which databases its restores replaced.
pub const NOTE: &str = "restored.json";
const NOTE_BYTES: u64 = 1 << 20;
/// How far the clocks of two machines may differ before an archive counts as one from the future.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// A database as archives know it: by its name, and by its cluster and oid as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDatabase {
    pub name: String,
    /// Absent where the role may not read it.
    pub system_identifier: Option<String>,
    /// Absent while the database does not exist.
    pub oid: Option<u32>,
}

impl NamedDatabase {
    pub fn of(session: &Session) -> Self {
        let facts = session.server_info();
        NamedDatabase {
            name: facts.database.clone(),
            system_identifier: facts.system_identifier.map(|number| number.to_string()),
            oid: Some(facts.database_oid),
        }
    }

    /// Identifies the database of a target, which need not exist.
    pub async fn at(target: &Target, watch: Watch<'_>) -> Result<Self> {
        let failed = match connect::open(target, watch).await {
            Ok(session) => {
                let identity = NamedDatabase::of(&session);
                session.close().await;
                return Ok(identity);
            }
            Err(error) => error,
        };
        for other in ["postgres", "template1"] {
            let Ok(session) = connect::open(&target.with_database(other), watch).await else {
                continue;
            };
            let row = session
                .query(
                    "SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = $1",
                    &[(&target.database(), Type::TEXT)],
                )
                .await?;
            let identity = NamedDatabase {
                name: target.database().to_owned(),
                oid: row.first().map(|row| row.get(0)),
                ..NamedDatabase::of(&session)
            };
            session.close().await;
            return Ok(identity);
        }
        Err(failed)
    }
}

/// A restored database and those it replaced on the same cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Succession {
    pub system_identifier: String,
    pub oid: u32,
    /// The oids of the replaced databases, whose archives now belong to this one.
    pub succeeds: BTreeSet<u32>,
}

/// Records beside an archive that it was restored as `now`, replacing the database with the oid `before` if there was one.
pub fn note(
    store: &Store,
    archive: &Archive,
    now: &NamedDatabase,
    before: Option<u32>,
) -> Result<()> {
    let (Some(system_identifier), Some(oid)) = (&now.system_identifier, now.oid) else {
        return Ok(());
    };
    let mut succeeds: BTreeSet<u32> = before.into_iter().collect();
    let is_from_here = archive.server.system_identifier.as_ref() == Some(system_identifier);
    if is_from_here && archive.database == now.name {
        // The restored database continues the lost one of the same name.
        succeeds.extend(archive.server.database_oid);
    }
    succeeds.remove(&oid);
    if succeeds.is_empty() {
        return Ok(());
    }
    let mut noted = read_note(store, &archive.name);
    noted.push(Succession {
        system_identifier: system_identifier.clone(),
        oid,
        succeeds,
    });
    let mut bytes = serde_json::to_vec_pretty(&noted)?;
    bytes.push(b'\n');
    store
        .add(&archive.name, NOTE, &bytes)
        .with_context(|| format!("writing {NOTE} beside `{}`", archive.name))
}

/// Reads the record; a damaged one counts as empty.
fn read_note(store: &Store, name: &str) -> Vec<Succession> {
    let read = || -> Result<Vec<Succession>> {
        let mut bytes = Vec::new();
        let mut file = store.read(name, NOTE)?.take(NOTE_BYTES);
        file.read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    read().unwrap_or_default()
}

#[derive(Clone, Debug, Default)]
pub struct Lineages {
    /// By cluster and oid: the databases each one replaced.
    succeeds: BTreeMap<(String, u32), BTreeSet<u32>>,
}

impl Lineages {
    pub fn read<'a>(
        store: &Store,
        archives: impl IntoIterator<Item = &'a Archive>,
    ) -> Result<Self> {
        let mut lineages = Lineages::default();
        for name in store.names_with(NOTE)? {
            for one in read_note(store, &name) {
                lineages.add(one.system_identifier, one.oid, one.succeeds);
            }
        }
        for archive in archives {
            let server = &archive.server;
            if let (Some(cluster), Some(oid)) = (&server.system_identifier, server.database_oid) {
                let succeeds = archive.succeeds.iter().copied().collect();
                lineages.add(cluster.clone(), oid, succeeds);
            }
        }
        Ok(lineages)
    }

    fn add(&mut self, cluster: String, oid: u32, succeeds: BTreeSet<u32>) {
        self.succeeds
            .entry((cluster, oid))
            .or_default()
            .extend(succeeds);
    }

    /// Returns the oids under which a database's archives are recorded: its own and those of the databases it replaced.
    pub fn oids(&self, cluster: &str, oid: u32) -> BTreeSet<u32> {
        let mut oids = BTreeSet::new();
        let mut due = vec![oid];
        while let Some(oid) = due.pop() {
            if oids.insert(oid)
                && let Some(succeeds) = self.succeeds.get(&(cluster.to_owned(), oid))
            {
                due.extend(succeeds);
            }
        }
        oids
    }

    pub fn belongs(&self, archive: &Archive, to: &NamedDatabase) -> bool {
        let theirs = archive.server.system_identifier.as_deref();
        let (Some(ours), Some(theirs)) = (to.system_identifier.as_deref(), theirs) else {
            return false;
        };
        if ours != theirs {
            return false;
        }
        match (to.oid, archive.server.database_oid) {
            (Some(oid), Some(archived)) => self.oids(ours, oid).contains(&archived),
            // The database was dropped, or the archive is from before oids were recorded.
            _ => archive.database == to.name,
        }
    }

    /// Returns a unique name of each archive's database.
    pub fn groups(&self, archives: &[Archive]) -> Vec<String> {
        let root = |cluster: &str, oid: u32| {
            // Databases with a common predecessor differ only by name, so names are compared too.
            let oids = self.oids(cluster, oid);
            oids.first().copied().unwrap_or(oid)
        };
        let mut known: BTreeMap<(&str, &str), BTreeSet<u32>> = BTreeMap::new();
        for archive in archives {
            let server = &archive.server;
            if let (Some(cluster), Some(oid)) = (&server.system_identifier, server.database_oid) {
                let key = (cluster.as_str(), archive.database.as_str());
                known.entry(key).or_default().insert(root(cluster, oid));
            }
        }
        let group = |archive: &Archive| {
            let server = &archive.server;
            let cluster = server.system_identifier.as_deref();
            let Some(cluster) = cluster else {
                return format!("unknown {}", archive.database);
            };
            let roots = known.get(&(cluster, archive.database.as_str()));
            let root = match (server.database_oid, roots) {
                (Some(oid), _) => Some(root(cluster, oid)),
                // An archive from before oids were recorded belongs to the only database of that name, if there is only one.
                (None, Some(roots)) if roots.len() == 1 => roots.first().copied(),
                (None, _) => None,
            };
            let root = root.map_or_else(String::new, |root| root.to_string());
            format!("{cluster} {root} {}", archive.database)
        };
        archives.iter().map(group).collect()
    }
}

/// The archives of one database in a store.
#[derive(Default)]
pub struct DatabaseArchives {
    /// Full archives, oldest first.
    pub whole: Vec<Archive>,
    /// Partial archives, oldest first.
    pub parts: Vec<Archive>,
    /// Archives of other databases of the same name, oldest first.
    pub namesakes: Vec<Archive>,
    /// Those with a start time in the future.
    pub future: Vec<Archive>,
}

/// Finds the archives of a database; without one, all archives.
pub fn archives_of(
    store: &Store,
    of: Option<&NamedDatabase>,
    now: DateTime<Utc>,
) -> Result<DatabaseArchives> {
    let mut archives: Vec<Archive> = Vec::new();
    for name in store.names()? {
        // A damaged description is reported by `backup list` and skipped here.
        archives.extend(store.archive(&name));
    }
    archives.sort_by(|left, right| {
        let key = |archive: &Archive| (archive.begun(), archive.name.clone());
        key(left).cmp(&key(right))
    });
    let lineages = Lineages::read(store, &archives)?;
    let mut found = DatabaseArchives::default();
    for archive in archives {
        let is_ours = of.is_none_or(|of| lineages.belongs(&archive, of));
        if !is_ours {
            if of.is_some_and(|of| of.name == archive.database) {
                found.namesakes.push(archive);
            }
        } else if is_from_the_future(&archive, now) {
            found.future.push(archive);
        } else if archive.scope.is_whole() {
            found.whole.push(archive);
        } else {
            found.parts.push(archive);
        }
    }
    Ok(found)
}

/// Returns whether an archive must be kept although newer ones exist, because it holds the only record that a database
/// replaced another, until an archive of the restored database repeats it.
pub fn is_only_succession_record(store: &Store, name: &str, kept: &[Archive]) -> bool {
    let repeats = |one: &Succession| {
        kept.iter().any(|archive| {
            let server = &archive.server;
            server.database_oid == Some(one.oid)
                && server.system_identifier.as_ref() == Some(&one.system_identifier)
                && one
                    .succeeds
                    .iter()
                    .all(|oid| archive.succeeds.contains(oid))
        })
    };
    !read_note(store, name).iter().all(repeats)
}

/// Returns the database of this name if the store has archives of only one.
pub fn only(store: &Store, name: &str) -> Result<Option<NamedDatabase>> {
    let mut archives: Vec<Archive> = Vec::new();
    for one in store.names()? {
        archives.extend(store.archive(&one).ok().filter(|one| one.database == name));
    }
    let groups = Lineages::read(store, &archives)?.groups(&archives);
    let distinct: BTreeSet<String> = groups.into_iter().collect();
    let newest = archives.into_iter().max_by_key(Archive::begun);
    Ok(newest
        .filter(|_| distinct.len() == 1)
        .map(|newest| NamedDatabase {
            name: newest.database,
            system_identifier: newest.server.system_identifier,
            oid: newest.server.database_oid,
        }))
}

/// Returns whether an archive's start time is in the future or cannot be parsed.
pub fn is_from_the_future(archive: &Archive, now: DateTime<Utc>) -> bool {
    archive.begun().is_none_or(|begun| begun > now + SKEW)
}

pub fn future_finding(archive: &Archive) -> Finding {
    Finding::warn(
        "archive-from-the-future",
        &archive.name,
        format!("backup time {} is in the future", archive.started),
    )
    .help("correct the clock of the machine that made it, then make a new backup; this one is never `latest`")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::archive::tests::example;

    /// Puts an archive into a store: its name, its cluster, its oid, and the day it was made.
    fn put(
        store: &Store,
        name: &str,
        cluster: Option<&str>,
        oid: Option<u32>,
        day: u32,
    ) -> Archive {
        let mut archive = example();
        archive.name = name.to_owned();
        archive.started = format!("2026-01-{day:02}T00:00:00Z");
        archive.server.system_identifier = cluster.map(str::to_owned);
        archive.server.database_oid = oid;
        let pending = store.begin(name, 0).unwrap();
        pending.commit(&archive.to_json().unwrap()).unwrap();
        archive
    }

    fn identity(cluster: &str, oid: Option<u32>) -> NamedDatabase {
        NamedDatabase {
            name: "demo".to_owned(),
            system_identifier: Some(cluster.to_owned()),
            oid,
        }
    }

    fn names(archives: &[Archive]) -> Vec<&str> {
        archives.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn archives_belong_to_a_database_not_to_a_name() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::parse("store", temp.path(), &BTreeMap::new()).unwrap();
        let now: DateTime<Utc> = "2026-01-20T00:00:00Z".parse().unwrap();
        put(&store, "old", Some("1"), None, 1);
        let first = put(&store, "first", Some("1"), Some(10), 2);
        put(&store, "elsewhere", Some("2"), Some(10), 3);
        put(&store, "unknown", None, Some(10), 4);
        let whole = |identity: &NamedDatabase| -> Vec<String> {
            let archives = archives_of(&store, Some(identity), now).unwrap();
            names(&archives.whole)
                .iter()
                .map(|name| (*name).to_owned())
                .collect()
        };
        assert_eq!(whole(&identity("1", Some(10))), ["old", "first"]);
        assert_eq!(whole(&identity("2", Some(10))), ["elsewhere"]);
        assert_eq!(whole(&identity("1", Some(11))), ["old"]);
        assert_eq!(whole(&identity("1", None)), ["old", "first"]);
        let renamed = NamedDatabase {
            name: "renamed".to_owned(),
            ..identity("1", Some(10))
        };
        assert_eq!(whole(&renamed), ["first"]);

        // Restored in the place of the first; then backed up, and the archive that knew of it is pruned.
        note(&store, &first, &identity("1", Some(20)), Some(10)).unwrap();
        assert_eq!(whole(&identity("1", Some(20))), ["old", "first"]);
        let lineages = Lineages::read(&store, []).unwrap();
        assert_eq!(lineages.oids("1", 20), BTreeSet::from([10, 20]));
        let mut next = put(&store, "next", Some("1"), Some(20), 5);
        next.succeeds = vec![10];
        store.remove("next").unwrap();
        let pending = store.begin("next", 0).unwrap();
        pending.commit(&next.to_json().unwrap()).unwrap();
        put(&store, "second", Some("1"), Some(10), 2);
        store.remove("first").unwrap();
        assert_eq!(whole(&identity("1", Some(20))), ["old", "second", "next"]);
        assert!(!is_only_succession_record(&store, "second", &[]));
        note(&store, &first, &identity("1", Some(30)), Some(20)).unwrap_err();
        // The one that was kept has its own archives only.
        assert_eq!(whole(&identity("1", Some(10))), ["old", "second"]);
    }

    #[test]
    fn retention_groups_belong_to_one_database() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::parse("store", temp.path(), &BTreeMap::new()).unwrap();
        let mut archives = vec![
            put(&store, "a", Some("1"), None, 1),
            put(&store, "b", Some("1"), Some(10), 2),
            put(&store, "c", Some("1"), Some(20), 3),
            put(&store, "d", Some("2"), Some(10), 4),
            put(&store, "e", None, None, 5),
        ];
        let groups =
            |archives: &[Archive]| Lineages::read(&store, archives).unwrap().groups(archives);
        let distinct =
            |archives: &[Archive]| groups(archives).into_iter().collect::<BTreeSet<_>>().len();
        // Nothing says that the second and the third are one, so the first is of neither.
        assert_eq!(distinct(&archives), 5);
        archives[2].succeeds = vec![10];
        assert_eq!(distinct(&archives), 3);
        let found = groups(&archives);
        assert_eq!((&found[0], &found[1]), (&found[1], &found[2]));
    }
}
