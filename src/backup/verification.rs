//! The note beside an archive that records when and how it was last verified.
//!
//! Separate from `archive.json`, which never changes, and bound to it by checksum.

use std::io::Read as _;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::archive::{Archive, DESCRIPTION, DESCRIPTION_BYTES};
use crate::file_encoding::hex;
use crate::finding::Finding;
use crate::identity::{self, NamedDatabase};
use crate::restore::Times;
use crate::store::Store;

pub const NOTE: &str = "proven.json";
const NOTE_BYTES: u64 = 64 << 10;

/// How an archive was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationKind {
    /// Checksums and contents were read and match.
    Read,
    /// Restored and compared.
    Restored,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VerificationNote {
    /// VerificationKind.
    pub how: VerificationKind,
    /// RFC 3339 in UTC.
    pub at: DateTime<Utc>,
    /// The checksum of the verified archive's description.
    pub archive: String,
    /// VerificationKind long the restore took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// Records that an archive was verified now; a store that cannot be written to gives a finding, not an error.
pub fn note(
    store: &Store,
    name: &str,
    how: VerificationKind,
    times: Option<Times>,
) -> Option<Finding> {
    note_not_written(write_note(store, name, how, times), name)
}

/// Returns the finding for a note that could not be written.
pub fn note_not_written(written: Result<()>, name: &str) -> Option<Finding> {
    let error = written.err()?;
    let message = format!("cannot record the verification in the store: {error:#}");
    Some(Finding::warn("archive-note", name, message).help(
        "the result itself is valid; guards and `backup list` see it only once the store is writable",
    ))
}

fn write_note(
    store: &Store,
    name: &str,
    how: VerificationKind,
    times: Option<Times>,
) -> Result<()> {
    let proven = VerificationNote {
        how,
        at: Utc::now(),
        archive: checksum(store, name)?,
        times,
    };
    // A restore test is stronger than verification and is not overwritten by a later one.
    if how == VerificationKind::Read
        && read(store, name).is_some_and(|before| before.how == VerificationKind::Restored)
    {
        return Ok(());
    }
    let mut bytes = serde_json::to_vec_pretty(&proven)?;
    bytes.push(b'\n');
    store.add(name, NOTE, &bytes)
}

/// Reads the note; one that is damaged or belongs to another archive is ignored.
pub fn read(store: &Store, name: &str) -> Option<VerificationNote> {
    let mut bytes = Vec::new();
    let files = store.files(name).ok()?;
    if !files.iter().any(|file| file == NOTE) {
        return None;
    }
    let note = store.read(name, NOTE).ok()?;
    note.take(NOTE_BYTES).read_to_end(&mut bytes).ok()?;
    let proven: VerificationNote = serde_json::from_slice(&bytes).ok()?;
    (proven.archive == checksum(store, name).ok()?).then_some(proven)
}

/// Returns the newest verified or restore-tested archive of a whole database.
pub fn latest(
    store: &Store,
    wanted: &NamedDatabase,
    now: DateTime<Utc>,
) -> Result<Option<(Archive, VerificationNote)>> {
    let shelf = identity::archives_of(store, Some(wanted), now)?;
    let newest_first = shelf.whole.into_iter().rev();
    let mut proven = newest_first.filter_map(|archive| {
        let proven = read(store, &archive.name)?;
        Some((archive, proven))
    });
    Ok(proven.next())
}

/// Checks `verified-backup-within`: returns a finding unless a verified archive was started less than `age` before `now`.
pub fn missing_within(
    store: &Store,
    wanted: &NamedDatabase,
    age: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Vec<Finding>> {
    let short = |message: String| {
        Finding::error("backup-stale", &wanted.name, message).help(
            "make and verify one: af-db backup, then af-db backup verify or af-db restore --drill",
        )
    };
    if wanted.system_identifier.is_none() {
        let message = "this role may not read the system identifier, so backups cannot be matched to this database";
        let help = "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO the role";
        return Ok(vec![
            Finding::error("backup-stale", &wanted.name, message).help(help),
        ]);
    }
    let missing = match latest(store, wanted, now)? {
        None => Some(short(format!(
            "no verified backup of this database in {}",
            store.shown()
        ))),
        Some((archive, _)) => {
            let old = archive.begun().map_or(TimeDelta::MAX, |begun| now - begun);
            (old > age).then(|| {
                short(format!(
                    "newest verified backup {} is {} old; at most {} is required",
                    archive.name,
                    hours(old),
                    hours(age)
                ))
            })
        }
    };
    let Some(missing) = missing else {
        return Ok(Vec::new());
    };
    // An archive that would have counted if its clock were right.
    let future = identity::archives_of(store, Some(wanted), now)?.future;
    let future = future.iter().map(identity::future_finding);
    Ok(std::iter::once(missing).chain(future).collect())
}

pub fn hours(time: TimeDelta) -> String {
    match time.num_minutes() {
        ..1 => format!("{} s", time.num_seconds()),
        minutes @ ..120 => format!("{minutes} min"),
        minutes @ 120..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

fn checksum(store: &Store, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let description = store.read(name, DESCRIPTION)?;
    description
        .take(DESCRIPTION_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(hex(&Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::archive::tests::example;

    fn put(store: &Store, name: &str, change: impl FnOnce(&mut Archive)) {
        let mut archive = example();
        archive.name = name.to_owned();
        archive.server.system_identifier = Some("1".to_owned());
        change(&mut archive);
        let pending = store.begin(name, 0).unwrap();
        pending.commit(&archive.to_json().unwrap()).unwrap();
    }

    #[test]
    fn only_a_recent_verified_full_archive_counts() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::parse("store", temp.path(), &BTreeMap::new()).unwrap();
        let mut wanted = NamedDatabase {
            name: "demo".to_owned(),
            system_identifier: Some("1".to_owned()),
            oid: Some(5),
        };
        let now: DateTime<Utc> = "2026-01-03T03:04:05Z".parse().unwrap();
        let missing_to = |wanted: &NamedDatabase, age: i64| {
            let found = missing_within(&store, wanted, TimeDelta::hours(age), now).unwrap();
            found.first().map(|finding| finding.message.clone())
        };
        let missing = |age: i64| missing_to(&wanted, age);
        put(&store, "demo-1", |_| ());
        assert!(missing(24).unwrap().contains("no verified backup"));
        for (name, change) in [
            (
                "a",
                (|one| one.scope.tenant = Some("7".to_owned())) as fn(&mut Archive),
            ),
            ("b", |one| {
                one.server.system_identifier = Some("2".to_owned())
            }),
            ("c", |one| one.database = "other".to_owned()),
            ("d", |one| one.server.system_identifier = None),
            ("e", |one| one.server.database_oid = Some(6)),
            ("f", |one| one.started = "2031-01-02T03:04:05Z".to_owned()),
            ("g", |one| one.started = "soon".to_owned()),
        ] {
            put(&store, name, change);
            assert_eq!(note(&store, name, VerificationKind::Read, None), None);
        }
        assert!(missing(24).unwrap().contains("no verified backup"));
        assert_eq!(note(&store, "demo-1", VerificationKind::Read, None), None);
        assert_eq!(missing(24), None);
        // A read-only store gives a finding; the existing note is unchanged.
        let place = temp.path().join("store/demo-1").join(NOTE);
        std::fs::remove_file(&place).unwrap();
        std::fs::create_dir_all(place.join("in the way")).unwrap();
        let finding = note(&store, "demo-1", VerificationKind::Read, None).unwrap();
        assert_eq!(finding.code, "archive-note");
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(note(&store, "demo-1", VerificationKind::Read, None), None);
        assert_eq!(
            missing(23).unwrap(),
            "newest verified backup demo-1 is 24 h old; at most 23 h is required"
        );
        let found = missing_within(&store, &wanted, TimeDelta::hours(23), now).unwrap();
        let codes: Vec<&str> = found.iter().map(|finding| finding.code.as_ref()).collect();
        let future = "archive-from-the-future";
        assert_eq!(codes, ["backup-stale", future, future]);

        // A database with the same oid on another cluster, and one whose cluster is unknown.
        wanted.system_identifier = Some("3".to_owned());
        assert!(missing_to(&wanted, 24).unwrap().contains("no verified"));
        wanted.system_identifier = None;
        assert!(missing_to(&wanted, 24).unwrap().contains("may not read"));
    }
}
