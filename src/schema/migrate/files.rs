//! Lists the files of a migrations folder by refinery's grammar.
//!
//! Refinery skips files that do not match its grammar; here everything that looks like a migration is reported, never
//! skipped.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::disk::{self, DirectoryEntry, DirectoryWalk};
use crate::error::{Failure, fail};
use crate::finding::{Finding, Location};
use crate::migrate::directive::{self, Directives};
use crate::migrate::file_name::{self, ParsedName};
use crate::sql::text::SharedText;

/// Which way a migration is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Applied.
    Up,
    /// Reverted.
    Down,
}

/// A migration file with its path and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFile {
    /// The path as the user would type it.
    pub shown: String,
    /// Where it is.
    pub path: PathBuf,
    /// The text, byte for byte.
    pub text: SharedText,
}

/// A migration: the file up, the file down where there is one, what they say about how they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The number in the file's name.
    pub version: i64,
    /// The name after it.
    pub name: String,
    /// `V`, or `U` for one that may come out of order.
    pub prefix: char,
    /// The up migration.
    pub up: MigrationFile,
    /// The down migration.
    pub down: Option<MigrationFile>,
    /// The directives of the up file.
    pub directives: Directives,
    /// The directives of the down file.
    pub down_directives: Directives,
}

impl Migration {
    /// Returns the file's name, as people call the migration.
    pub fn file_name(&self) -> &str {
        self.up
            .shown
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or(&self.up.shown)
    }

    /// Returns the file that is run one way, and what it says about how; none where there is no such way.
    pub fn script(&self, direction: Direction) -> Option<(&MigrationFile, &Directives)> {
        match direction {
            Direction::Up => Some((&self.up, &self.directives)),
            Direction::Down => Some((self.down.as_ref()?, &self.down_directives)),
        }
    }

    /// Returns `12 add_tenant`.
    pub fn title(&self) -> String {
        format!("{} {}", self.version, self.name)
    }
}

/// A folder of migrations and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct MigrationFolder {
    /// The migrations, by version.
    pub migrations: Vec<Migration>,
    /// What is wrong with the files.
    pub findings: Vec<Finding>,
}

impl MigrationFolder {
    /// Returns the migrations; refused where a file could not be read, so that none is silently left out.
    pub fn whole(self) -> Result<Vec<Migration>> {
        const UNREAD: [&str; 4] = [
            "migration-encoding",
            "migration-file-name",
            "migration-loop",
            "migration-unreadable",
        ];
        let unread = |finding: &Finding| UNREAD.contains(&finding.code.as_str());
        let Some(first) = self.findings.iter().find(|finding| unread(finding)) else {
            return Ok(self.migrations);
        };
        let message = format!("{} cannot be read: {}", first.subject, first.message);
        let hint = first.help.clone().unwrap_or_default();
        Err(fail(message).hint(hint).into())
    }
}

/// Lists a folder and its subfolders, as refinery does; a missing folder is empty.
pub fn list(folder: &Path, shown: &str) -> Result<MigrationFolder> {
    let mut listing = Listing::default();
    if folder.exists() {
        let entries = listing.walk.list(folder, shown)?;
        listing.inside(entries)?;
    }
    Ok(listing.finish())
}

/// Reads a single file and its down migration, whatever else lies in the folder; none where the name is no migration's.
pub fn one(path: &Path, shown: &str) -> Result<Option<Migration>> {
    let mut listing = Listing::default();
    for (path, shown) in [
        (path.to_owned(), shown.to_owned()),
        (
            down_of(path),
            down_of(Path::new(shown)).display().to_string(),
        ),
    ] {
        if path.is_file() {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            listing.file(&path, &name, &shown);
        }
    }
    Ok(listing.finish().migrations.pop())
}

fn down_of(path: &Path) -> PathBuf {
    path.with_extension("down.sql")
}

/// A file whose name is a migration's, not read yet.
struct NamedFile {
    stem: ParsedName,
    path: PathBuf,
    shown: String,
}

#[derive(Default)]
struct Listing {
    walk: DirectoryWalk,
    named: Vec<NamedFile>,
    findings: Vec<Finding>,
}

impl Listing {
    fn inside(&mut self, entries: Vec<DirectoryEntry>) -> Result<()> {
        for entry in entries {
            if !entry.is_folder {
                self.file(&entry.path, &entry.name, &entry.shown);
                continue;
            }
            match self.walk.list(&entry.path, &entry.shown) {
                Ok(inside) => self.inside(inside)?,
                Err(error) => match error.downcast::<Failure>() {
                    Ok(failure) => self.findings.push(reached_twice(&entry.shown, failure)),
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str, shown: &str) {
        if !file_name::is_sql(name) {
            return;
        }
        if let Some(control) = disk::control_in_name(name) {
            let message = format!("The file name {name:?} contains {control}");
            let finding = Finding::error("migration-file-name", shown, message);
            self.findings
                .push(finding.place(Location::file(shown)).help("Rename the file"));
            return;
        }
        match file_name::parse(name) {
            Ok(stem) => self.named.push(NamedFile {
                stem,
                path: path.to_owned(),
                shown: shown.to_owned(),
            }),
            Err((problem, help)) => {
                let finding =
                    Finding::error("migration-name", shown, problem).place(Location::file(shown));
                self.findings.push(finding.help(help));
            }
        }
    }

    fn finish(mut self) -> MigrationFolder {
        let (mut ups, mut downs) = (Vec::new(), Vec::new());
        for (named, (script, findings)) in self.named.iter().zip(read_all(&self.named)) {
            self.findings.extend(findings);
            match script {
                Some(script) if named.stem.is_down => downs.push((named.stem.clone(), script)),
                Some(script) => ups.push((named.stem.clone(), script)),
                None => {}
            }
        }
        self.findings
            .sort_by(|left, right| left.subject.cmp(&right.subject));
        let mut migrations: Vec<Migration> = Vec::with_capacity(ups.len());
        ups.sort_by(|(left, a), (right, b)| {
            (left.version, &a.shown).cmp(&(right.version, &b.shown))
        });
        for (stem, up) in ups {
            if let Some(first) = migrations
                .last()
                .filter(|last| last.version == stem.version)
            {
                let message = format!(
                    "Version {} is also used by {}",
                    stem.version, first.up.shown
                );
                let finding = Finding::error("migration-duplicate", &up.shown, message)
                    .place(Location::file(&up.shown));
                let help = "Give the one that is not applied anywhere another version: af-db repair --renumber FILE";
                self.findings
                    .push(finding.also(Location::file(&first.up.shown)).help(help));
                continue;
            }
            let directives = directive::read(&up.shown, &up.text, &mut self.findings);
            let ParsedName {
                prefix,
                version,
                name,
                ..
            } = stem;
            let down_directives = Directives::default();
            migrations.push(Migration {
                version,
                name,
                prefix,
                up,
                down: None,
                directives,
                down_directives,
            });
        }
        for (stem, down) in downs {
            let at = migrations
                .binary_search_by_key(&stem.version, |up| up.version)
                .ok();
            match at.map(|at| &mut migrations[at]) {
                Some(migration) if migration.name == stem.name => {
                    migration.down_directives =
                        directive::read(&down.shown, &down.text, &mut self.findings);
                    migration.down = Some(down);
                }
                _ => {
                    let message = "No migration with this version and name exists";
                    let finding = Finding::error("migration-name", &down.shown, message)
                        .place(Location::file(&down.shown));
                    self.findings.push(finding.help(
                        "Name the file after its migration: V12__name.down.sql next to V12__name.sql",
                    ));
                }
            }
        }
        MigrationFolder {
            migrations,
            findings: self.findings,
        }
    }
}

fn reached_twice(shown: &str, failure: Failure) -> Finding {
    let finding = Finding::error("migration-loop", shown, failure.message);
    finding
        .place(Location::file(shown))
        .help(failure.hint.unwrap_or_default())
}

/// Reads files on all processors: thousands of applied migrations are read at every start.
fn read_all(named: &[NamedFile]) -> Vec<(Option<MigrationFile>, Vec<Finding>)> {
    const WORTH_A_THREAD: usize = 256;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = named.len().div_ceil(threads).max(WORTH_A_THREAD);
    let read = |part: &[NamedFile]| -> Vec<_> {
        let each = |one: &NamedFile| {
            let mut findings = Vec::new();
            (script(&one.path, &one.shown, &mut findings), findings)
        };
        part.iter().map(each).collect()
    };
    std::thread::scope(|scope| {
        let mut parts = named.chunks(share);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| (part, scope.spawn(move || read(part))))
            .collect();
        let mut all = read(first);
        for (part, other) in others {
            // A thread that could not finish is done again here, where its panic is seen.
            all.extend(other.join().unwrap_or_else(|_| read(part)));
        }
        all
    })
}

/// Reads a file and names what is odd about its bytes; none where it cannot be run as it is.
pub fn script(path: &Path, shown: &str, findings: &mut Vec<Finding>) -> Option<MigrationFile> {
    let bytes = match disk::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.push(unreadable(shown, &error));
            return None;
        }
    };
    Some(MigrationFile {
        shown: shown.to_owned(),
        path: path.to_owned(),
        text: decode(bytes, shown, findings)?.into(),
    })
}

fn unreadable(shown: &str, error: &std::io::Error) -> Finding {
    let message = format!("The file cannot be read: {error}");
    Finding::error("migration-unreadable", shown, message)
        .place(Location::file(shown))
        .help("Check the file, its permissions and its symbolic link")
}

/// Decodes a file and names what is odd about its bytes.
fn decode(bytes: Vec<u8>, shown: &str, findings: &mut Vec<Finding>) -> Option<String> {
    let text = match disk::decode(bytes) {
        Ok(text) => text,
        Err(not) => {
            let finding = Finding::error("migration-encoding", shown, not.problem);
            let place = Location::at(shown, not.line, 1);
            findings.push(finding.place(place).help(not.help));
            return None;
        }
    };
    let mut odd = |make: fn(&str, &str, &str) -> Finding, code: &str, message: &str, help: &str| {
        findings.push(
            make(code, shown, message)
                .place(Location::file(shown))
                .help(help),
        );
    };
    let error = |code: &str, shown: &str, message: &str| Finding::error(code, shown, message);
    let warn = |code: &str, shown: &str, message: &str| Finding::warn(code, shown, message);
    if text.starts_with('\u{feff}') {
        let message = "The file begins with a byte-order mark, which PostgreSQL rejects";
        odd(
            error,
            "migration-bom",
            message,
            "Save the file as UTF-8 without a byte-order mark",
        );
    }
    if text.contains("\r\n") {
        let message =
            "The file has CRLF line endings; a checkout on another system changes the checksum";
        odd(
            warn,
            "migration-line-endings",
            message,
            "Add `*.sql text eol=lf` to .gitattributes",
        );
    }
    if text.trim().is_empty() {
        odd(
            warn,
            "migration-empty",
            "The file is empty",
            "Write the statements, or remove the file",
        );
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_files_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
        write("V1__a.sql", b"SELECT 1;");
        write("V1__a.down.sql", b"SELECT 2;");
        write("V2__b.sql", b"SELECT 1;");
        write("V2__c.sql", b"SELECT 1;");
        write("V3__crlf.sql", b"SELECT 1;\r\n");
        write("V4__bom.sql", "\u{feff}SELECT 1;".as_bytes());
        write("V5__latin.sql", b"SELECT 1;\n-- \xe9");
        write("V6__empty.sql", b"");
        write("V7__lost.down.sql", b"SELECT 1;");
        write("V8__has-hyphen.sql", b"SELECT 1;");
        write("README.md", b"words");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
            std::os::unix::fs::symlink("V10__gone.sql", folder.path().join("V10__gone.sql"))
                .unwrap();
        }
        let listed = list(folder.path(), "migrations").unwrap();
        let versions: Vec<i64> = listed
            .migrations
            .iter()
            .map(|migration| migration.version)
            .collect();
        assert_eq!(versions, [1, 2, 3, 4, 6]);
        assert!(listed.migrations[0].down.is_some());
        let mut said: Vec<String> = listed
            .findings
            .iter()
            .map(|finding| format!("{} {}", finding.code, finding.subject))
            .collect();
        said.sort();
        insta::assert_snapshot!(said.join("\n"), @"
        migration-bom migrations/V4__bom.sql
        migration-duplicate migrations/V2__c.sql
        migration-empty migrations/V6__empty.sql
        migration-encoding migrations/V5__latin.sql
        migration-line-endings migrations/V3__crlf.sql
        migration-loop migrations/again
        migration-name migrations/V7__lost.down.sql
        migration-name migrations/V8__has-hyphen.sql
        migration-unreadable migrations/V10__gone.sql
        ");
    }

    #[test]
    fn missing_folders_are_empty() {
        assert!(
            list(Path::new("/nonexistent/migrations"), "migrations")
                .unwrap()
                .migrations
                .is_empty()
        );
    }
}
