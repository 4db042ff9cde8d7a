//! Owns the note beside an archive that says when and how it was last proven.
//!
//! It stands apart from `archive.json`, which never changes, and binds itself to it by checksum.

use std::io::Read as _;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::backup::archive::{Archive, DESCRIPTION};
use crate::backup::restore::Times;
use crate::backup::seal::hex;
use crate::backup::store::Store;
use crate::finding::Finding;

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

/// The database that archives are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub database: &'a str,
    /// The number its cluster was born with, where it can be asked; a database of the same name elsewhere is another.
    pub system_identifier: Option<&'a str>,
}

impl Wanted<'_> {
    /// Says whether an archive is of all of this database.
    fn is_of(&self, archive: &Archive) -> bool {
        let theirs = archive.server.system_identifier.as_deref();
        let is_same_cluster = match (self.system_identifier, theirs) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        archive.database == self.database && archive.scope.is_whole() && is_same_cluster
    }
}

/// Gives the newest archive of a whole database that was proven, by a drill or by reading all of it.
pub fn latest(store: &Store, wanted: Wanted<'_>) -> Result<Option<(Archive, Proven)>> {
    let mut newest: Option<(Archive, Proven)> = None;
    for name in store.names()? {
        // A damaged description is `backup list`'s to tell; here it is no backup.
        let Ok(archive) = store.archive(&name) else {
            continue;
        };
        let is_newer = newest
            .as_ref()
            .is_none_or(|(newest, _)| newest.started < archive.started);
        if is_newer
            && wanted.is_of(&archive)
            && let Some(proven) = read(store, &name)
        {
            newest = Some((archive, proven));
        }
    }
    Ok(newest)
}

/// Says what is missing to `verified-backup-within`: nothing when a proven archive was begun less than `age` before `now`.
pub fn missing_within(
    store: &Store,
    wanted: Wanted<'_>,
    age: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Option<Finding>> {
    let short = |message: String| {
        Finding::error("backup-stale", wanted.database, message).help(
            "make and prove one: af-db backup, then af-db backup verify or af-db restore --drill",
        )
    };
    let Some((archive, _)) = latest(store, wanted)? else {
        return Ok(Some(short(format!(
            "there is no proven backup of it in {}",
            store.shown()
        ))));
    };
    let started: DateTime<Utc> = archive.started.parse()?;
    let old = now - started;
    Ok((old > age).then(|| {
        short(format!(
            "its newest proven backup {} is {} old, {} is asked for",
            archive.name,
            hours(old),
            hours(age)
        ))
    }))
}

/// Gives the command that puts an archive back in the place of the database it was made of.
pub fn undoing(store: &Store, archive: &str) -> String {
    format!("af-db restore --swap --from {} {archive}", store.shown())
}

/// Writes an age for a person.
pub(super) fn hours(time: TimeDelta) -> String {
    match time.num_minutes() {
        ..1 => format!("{} s", time.num_seconds()),
        minutes @ ..120 => format!("{minutes} min"),
        minutes @ 120..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

fn checksum(store: &Store, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    store.read(name, DESCRIPTION)?.read_to_end(&mut bytes)?;
    Ok(hex(&Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backup::archive::tests::example;

    fn put(store: &Store, name: &str, change: impl FnOnce(&mut Archive)) {
        let mut archive = example();
        archive.name = name.to_owned();
        archive.server.system_identifier = Some("1".to_owned());
        change(&mut archive);
        let pending = store.begin(name, 0).unwrap();
        pending.commit(&archive.to_json().unwrap()).unwrap();
    }

    #[test]
    fn only_a_proven_archive_of_the_whole_database_counts_and_only_while_it_is_young() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::parse("store", temp.path(), &BTreeMap::new()).unwrap();
        let wanted = Wanted {
            database: "demo",
            system_identifier: Some("1"),
        };
        let now: DateTime<Utc> = "2026-01-03T03:04:05Z".parse().unwrap();
        let missing = |age: i64| {
            let found = missing_within(&store, wanted, TimeDelta::hours(age), now).unwrap();
            found.map(|finding| finding.message)
        };
        put(&store, "demo-1", |_| ());
        assert!(missing(24).unwrap().contains("there is no proven backup"));
        for (name, change) in [
            (
                "a",
                (|one| one.scope.tenant = Some("7".to_owned())) as fn(&mut Archive),
            ),
            ("b", |one| {
                one.server.system_identifier = Some("2".to_owned())
            }),
            ("c", |one| one.database = "other".to_owned()),
        ] {
            put(&store, name, change);
            note(&store, name, How::Read, None).unwrap();
        }
        assert!(missing(24).unwrap().contains("there is no proven backup"));
        note(&store, "demo-1", How::Read, None).unwrap();
        assert_eq!(missing(24), None);
        assert_eq!(
            missing(23).unwrap(),
            "its newest proven backup demo-1 is 24 h old, 23 h is asked for"
        );
    }
}
