//! The description of an archive, `archive.json`: its files with their checksums, its source and its scope.
//!
//! It is written last, so that an archive without it does not exist, and ends with its own checksum. The expected contents are
//! in [`PROOF`], which names tables and is encrypted with the rest.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::fail;
use crate::file_encoding::{FileChecksum, hex};

pub const DESCRIPTION: &str = "archive.json";
/// The stem of the dump, or of its first part.
pub const DUMP: &str = "database.dump";
pub const ROLES: &str = "roles.sql";
pub const PROOF: &str = "proof.json";

/// The version of the description where the dump is in one file; it grows when a key changes its meaning.
const VERSION: u32 = 1;
/// The version where the dump is in parts, of which an older reader would take the first for all.
const IN_PARTS: u32 = 2;

/// The most files that an archive may list, and the most bytes that one may have.
const MOST_FILES: usize = 4_096;
const LARGEST: u64 = 1 << 50;
pub const DESCRIPTION_BYTES: u64 = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Archive {
    /// The format version.
    pub version: u32,
    /// `<database>-<time>`, also the folder's name.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub database: String,
    /// Start time, RFC 3339 in UTC; the snapshot is taken then or shortly after.
    pub started: String,
    pub milliseconds: u64,
    pub tools: Tools,
    pub server: Server,
    /// The oids of the databases that this one replaced when it was restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub succeeds: Vec<u32>,
    #[serde(default)]
    pub scope: Scope,
    pub totals: Totals,
    /// The age recipients; empty when it is not encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The schema fingerprint, as computed by `diff` and drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// What a user may expect in the archive but it does not contain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_included: Vec<String>,
    pub files: Vec<StoredFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tools {
    pub af_db: String,
    pub pg_dump: String,
}

/// The source server, with its position at the time of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Server {
    pub version_num: u32,
    /// Absent where the role may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// Absent in archives of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_oid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
}

/// The part of a database that an archive contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Scope {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Only these tables, `schema.table` as SQL spells them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Scope {
    pub fn is_whole(&self) -> bool {
        *self == Scope::default()
    }

    /// Describes the part in words; `None` for a whole database.
    pub fn part(&self) -> Option<String> {
        let several = |one: &str, many: &str, names: &[String]| match names {
            [] => None,
            [name] => Some(format!("{one} {name}")),
            names => Some(format!("{many} {}", names.join(", "))),
        };
        let tenant = self
            .tenant
            .as_ref()
            .map(|tenant| format!("tenant {tenant}"));
        tenant
            .or_else(|| several("schema", "schemas", &self.schemas))
            .or_else(|| several("table", "tables", &self.tables))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// Tables with data.
    pub tables: u64,
    pub rows: u64,
    pub large_objects: u64,
    /// Bytes of the dump before compression.
    pub dump_bytes: u64,
    /// Bytes the database took on the server.
    pub database_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoredFile {
    pub name: String,
    /// Bytes as stored.
    pub size: u64,
    /// SHA-256 of the bytes as stored.
    pub sha256: String,
    /// Bytes once decrypted and decompressed.
    pub content: u64,
    /// Of a dump in parts, how many bytes of its content come before the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
}

impl StoredFile {
    pub fn checksum(&self) -> FileChecksum {
        FileChecksum {
            size: self.size,
            sha256: self.sha256.clone(),
        }
    }
}

impl Archive {
    /// Returns the file with this stem, compressed, encrypted or neither.
    pub fn file(&self, stem: &str) -> Result<&StoredFile> {
        self.files
            .iter()
            .find(|file| file.name == stored_name(stem, self.is_encrypted()))
            .ok_or_else(|| fail(format!("backup `{}` contains no {stem}", self.name)).into())
    }

    pub fn dumps(&self) -> Result<Vec<&StoredFile>> {
        let first = self.file(DUMP)?;
        let rest = self.files.iter().filter(|file| is_rows(stem(&file.name)));
        Ok(std::iter::once(first).chain(rest).collect())
    }

    pub fn is_encrypted(&self) -> bool {
        !self.recipients.is_empty()
    }

    /// Returns the size in the store, without the description.
    pub fn stored_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Returns the start time, if it can be parsed.
    pub fn begun(&self) -> Option<DateTime<Utc>> {
        self.started.parse().ok()
    }

    pub fn major(&self) -> u32 {
        self.server.version_num / 10_000
    }

    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut archive = self.clone();
        archive.version = version_of(&archive.files);
        sign(serde_json::to_value(archive)?)
    }

    /// Parses a description and refuses any that differs by a byte from what was written.
    pub fn from_json(name: &str, bytes: &[u8]) -> Result<Self> {
        let damaged = || {
            fail(format!(
                "{DESCRIPTION} of backup `{name}` is damaged: checksum mismatch"
            ))
            .hint("use another backup; this one cannot be trusted")
        };
        let mut value: Value = serde_json::from_slice(bytes).map_err(|_| damaged())?;
        let object = value.as_object_mut().ok_or_else(damaged)?;
        object.shift_remove("checksum").ok_or_else(damaged)?;
        // Serialized again and compared, so that any change is found, white space included.
        if sign(value.clone())? != bytes {
            return Err(damaged().into());
        }
        let version = value.get("version").and_then(Value::as_u64);
        let version = version.unwrap_or_default();
        if !(u64::from(VERSION)..=u64::from(IN_PARTS)).contains(&version) {
            return Err(fail(format!(
                "backup `{name}` has format {version}; this af-db reads formats up to {IN_PARTS}"
            ))
            .hint("use the af-db that made the backup, or a newer one")
            .into());
        }
        let archive: Archive = serde_json::from_value(value)
            .with_context(|| format!("reading {DESCRIPTION} of `{name}`"))?;
        archive.check_files(name)?;
        Ok(archive)
    }

    /// Refuses file names that this archive cannot own: its checksum protects only from accidental changes.
    fn check_files(&self, name: &str) -> Result<()> {
        let mut seen = BTreeSet::new();
        let is_ours = |file: &StoredFile| {
            is_stored_name(&file.name)
                && [file.size, file.content, file.head.unwrap_or_default()]
                    .iter()
                    .all(|bytes| *bytes <= LARGEST)
        };
        let are_ours = self.files.len() <= MOST_FILES
            && self
                .files
                .iter()
                .all(|file| is_ours(file) && seen.insert(&file.name));
        if are_ours {
            return Ok(());
        }
        Err(fail(format!(
            "{DESCRIPTION} of backup `{name}` lists a file that af-db never writes; no file was read"
        ))
        .hint("use another backup; this one cannot be trusted")
        .into())
    }
}

/// Returns whether af-db stores files under such names: no path, no device, nothing hidden.
pub fn is_stored_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let stem = stem(name);
    let ending = name.get(stem.len()..).unwrap_or_default();
    name.len() <= 100
        && matches!(ending, ".zst" | ".zst.age")
        && stem.bytes().next().is_some_and(is_plain)
        && stem
            .bytes()
            .all(|byte| is_plain(byte) || b"-.".contains(&byte))
        && !stem.contains("..")
}

/// Returns whether this is an archive name, which ends with its start time.
pub fn is_archive_name(name: &str) -> bool {
    let time = name.rsplit_once('-').map_or("", |(_, time)| time);
    chrono::NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").is_ok()
}

fn sign(mut value: Value) -> Result<Vec<u8>> {
    let body = serde_json::to_vec_pretty(&value)?;
    let checksum = format!("sha256:{}", hex(&Sha256::digest(&body)));
    if let Some(object) = value.as_object_mut() {
        object.insert("checksum".to_owned(), Value::String(checksum));
    }
    let mut bytes = serde_json::to_vec_pretty(&value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub fn version_of(files: &[StoredFile]) -> u32 {
    let is_in_parts = files.iter().any(|file| is_rows(stem(&file.name)));
    if is_in_parts { IN_PARTS } else { VERSION }
}

pub fn part(number: usize) -> String {
    match number {
        0 => DUMP.to_owned(),
        number => format!("rows-{number}.dump"),
    }
}

/// Returns whether a stem is that of a part other than the first.
pub fn is_rows(stem: &str) -> bool {
    stem.starts_with("rows-") && stem.ends_with(".dump")
}

pub fn stem(name: &str) -> &str {
    let name = name.strip_suffix(".age").unwrap_or(name);
    name.strip_suffix(".zst").unwrap_or(name)
}

/// Returns the name of a stored file, whose extensions name its encoding.
pub fn stored_name(stem: &str, is_encrypted: bool) -> String {
    format!("{stem}.zst{}", if is_encrypted { ".age" } else { "" })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> Archive {
        Archive {
            version: VERSION,
            name: "demo-20260102T030405Z".to_owned(),
            label: None,
            database: "demo".to_owned(),
            started: "2026-01-02T03:04:05Z".to_owned(),
            milliseconds: 12,
            tools: Tools {
                af_db: "0.1.0".to_owned(),
                pg_dump: "15.1".to_owned(),
            },
            server: Server {
                version_num: 150_001,
                ..Server::default()
            },
            succeeds: Vec::new(),
            scope: Scope::default(),
            totals: Totals::default(),
            recipients: Vec::new(),
            history: None,
            catalog: None,
            not_included: Vec::new(),
            files: vec![StoredFile {
                name: stored_name(DUMP, false),
                size: 3,
                sha256: "00".to_owned(),
                content: 9,
                head: None,
            }],
        }
    }

    #[test]
    fn a_description_round_trips() {
        let archive = example();
        let bytes = archive.to_json().unwrap();
        assert_eq!(Archive::from_json("a", &bytes).unwrap(), archive);
        assert_eq!(archive.file(DUMP).unwrap().content, 9);
        assert!(archive.file(ROLES).is_err());
    }

    #[test]
    fn no_flipped_bit_and_no_cut_is_accepted() {
        let bytes = example().to_json().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Archive::from_json("a", &damaged).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(
                Archive::from_json("a", &bytes[..end]).is_err(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn unknown_keys_are_accepted_and_newer_versions_refused() {
        let mut value = serde_json::to_value(example()).unwrap();
        value["weather"] = "fine".into();
        assert!(Archive::from_json("a", &sign(value.clone()).unwrap()).is_ok());
        value["version"] = 3.into();
        let error = Archive::from_json("a", &sign(value).unwrap()).unwrap_err();
        assert!(error.to_string().contains("format 3"), "{error}");
    }

    #[test]
    fn file_names_outside_the_archive_are_refused() {
        let read = |change: &dyn Fn(&mut Vec<StoredFile>)| {
            let mut archive = example();
            change(&mut archive.files);
            let bytes = sign(serde_json::to_value(archive).unwrap()).unwrap();
            Archive::from_json("a", &bytes)
        };
        for name in [
            "database.dump.zst",
            "rows-12.dump.zst.age",
            "roles.sql.zst",
            "tenant.sql.zst",
            "something-new.json.zst",
        ] {
            assert!(
                read(&|files| files[0].name = name.to_owned()).is_ok(),
                "{name}"
            );
        }
        for name in [
            "",
            ".zst",
            ".hidden.zst",
            "../../../x.zst",
            "..zst",
            "a..b.zst",
            "/etc/hostname",
            "/dev/zero",
            "a/b.zst",
            "a\\b.zst",
            "a\nb.zst",
            "a\0b.zst",
            "archive.json",
            "proven.json",
            "database.dump",
            "database.dump.age",
            "C:x.zst",
            "\u{202e}x.zst",
        ] {
            assert!(
                read(&|files| files[0].name = name.to_owned()).is_err(),
                "{name:?}"
            );
        }
        assert!(
            read(&|files| files.push(files[0].clone())).is_err(),
            "twice"
        );
        for change in [
            (|file| file.size = u64::MAX) as fn(&mut StoredFile),
            |file| file.content = u64::MAX,
            |file| file.head = Some(u64::MAX),
        ] {
            assert!(read(&|files| change(&mut files[0])).is_err());
        }
    }

    #[test]
    fn a_dump_in_parts_has_a_newer_format_version() {
        let mut archive = example();
        assert_eq!(archive.dumps().unwrap().len(), 1);
        let read = |archive: &Archive| {
            let bytes = archive.to_json().unwrap();
            Archive::from_json("a", &bytes).unwrap()
        };
        assert_eq!(read(&archive).version, 1);
        archive.files.push(StoredFile {
            name: stored_name(&part(1), false),
            ..archive.files[0].clone()
        });
        let names = |archive: &Archive| -> Vec<String> {
            let dumps = archive.dumps().unwrap().into_iter();
            dumps.map(|file| file.name.clone()).collect()
        };
        assert_eq!(read(&archive).version, 2);
        assert_eq!(names(&archive), ["database.dump.zst", "rows-1.dump.zst"]);
    }
}
