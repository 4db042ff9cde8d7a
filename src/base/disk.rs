//! Reads files and folders of a project, whose content is untrusted: never a pipe or a device, never a folder twice,
//! never more than fits into memory, and never bytes that are not UTF-8.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::{Failure, fail};

/// The largest file that is read. PostgreSQL itself takes no statement above 1 GB.
pub const LARGEST: u64 = 256 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name; characters that are not Unicode are replaced.
    pub name: String,
    pub path: PathBuf,
    /// The path as messages show it.
    pub shown: String,
    /// Also true for a symbolic link to a folder.
    pub is_folder: bool,
}

/// The folders that a walk has read, so that symbolic links cannot make it loop or read a folder twice.
#[derive(Debug, Default)]
pub struct DirectoryWalk {
    read: BTreeMap<PathBuf, String>,
}

impl DirectoryWalk {
    /// Lists a folder in the order of names; a folder that this walk has listed before is refused.
    pub fn list(&mut self, folder: &Path, shown: &str) -> Result<Vec<DirectoryEntry>> {
        let reading = || format!("reading {shown}");
        let real = folder.canonicalize().with_context(reading)?;
        if let Some(before) = self.read.insert(real, shown.to_owned()) {
            let message = format!("{shown} links to a folder that was already read as {before}");
            return Err(fail(message).hint("remove the symbolic link").into());
        }
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirectoryEntry {
                shown: match shown {
                    "." => name.clone(),
                    _ => format!("{shown}/{name}"),
                },
                is_folder: is_folder(&entry),
                path: entry.path(),
                name,
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}

/// Follows symbolic links; listing a folder reports the type of everything else already.
fn is_folder(entry: &std::fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

/// Returns the control character that makes a file's name unfit to be shown or typed.
pub fn control_in_name(name: &str) -> Option<String> {
    let control = name.chars().find(|letter| letter.is_control())?;
    Some(match control {
        '\n' => "a line feed".to_owned(),
        '\r' => "a carriage return".to_owned(),
        '\t' => "a tab".to_owned(),
        other => format!("the control character U+{:04X}", u32::from(other)),
    })
}

pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other(format!(
            "the path is {}, not a regular file",
            kind(about.file_type())
        )));
    }
    let too_large = || io::Error::other(format!("the file is larger than {} MB", LARGEST >> 20));
    if about.len() > LARGEST {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    // Some files say that they are empty and never end, and others grow.
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST) {
        Ok(bytes)
    } else {
        Err(too_large())
    }
}

/// Opens a file without blocking: opening a pipe would wait for a writer.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

fn kind(of: std::fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;

        if of.is_fifo() {
            return "a pipe";
        } else if of.is_char_device() || of.is_block_device() {
            return "a device";
        }
    }
    if of.is_dir() {
        "a folder"
    } else {
        "something else"
    }
}

/// Reads a whole file as text; `shown` is its path in messages.
pub fn read_text(path: &Path, shown: &str) -> Result<String> {
    let bytes = read(path).with_context(|| format!("reading {shown}"))?;
    Ok(decode(bytes).map_err(|not| not.failure(shown))?)
}

pub fn read_text_if_there(path: &Path, shown: &str) -> Result<Option<String>> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => read_text(path, shown).map(Some),
    }
}

/// Why bytes are not text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotText {
    /// One sentence without the file's name.
    pub problem: String,
    pub help: &'static str,
    pub line: u32,
    /// The first wrong byte, counted from 0.
    pub offset: usize,
}

impl NotText {
    fn failure(self, shown: &str) -> Failure {
        fail(format!("{shown}:{}: {}", self.line, self.problem)).hint(self.help)
    }
}

/// Decodes UTF-8 as PostgreSQL would; names the likely encoding of anything else.
pub fn decode(bytes: Vec<u8>) -> Result<String, NotText> {
    const SAVE: &str = "save the file as UTF-8";
    if let Some(encoding) = wide(&bytes) {
        return Err(NotText {
            problem: format!("the file is encoded as {encoding}, not as UTF-8"),
            help: SAVE,
            line: 1,
            offset: 0,
        });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let byte = bytes.get(offset).copied().unwrap_or_default();
        NotText {
            problem: format!(
                "byte {offset} (0x{byte:02X}) is not UTF-8; the file may be encoded as Latin-1 or Windows-1252"
            ),
            help: SAVE,
            line: line_of(bytes, offset),
            offset,
        }
    })?;
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(offset) => Err(NotText {
            problem: format!(
                "byte {offset} is NUL (0x00), which PostgreSQL does not allow in text"
            ),
            help: "remove the NUL byte",
            line: line_of(text.as_bytes(), offset),
            offset,
        }),
    }
}

/// Recognises UTF-16 and UTF-32.
fn wide(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] => return Some("UTF-32 (little-endian)"),
        [0, 0, 0xFE, 0xFF, ..] => return Some("UTF-32 (big-endian)"),
        [0xFF, 0xFE, ..] => return Some("UTF-16 (little-endian)"),
        [0xFE, 0xFF, ..] => return Some("UTF-16 (big-endian)"),
        _ => {}
    }
    // Without a byte order mark: the half of each pair that Latin letters leave empty.
    let pairs: Vec<&[u8]> = bytes.chunks_exact(2).take(64).collect();
    let empty = |half: usize| pairs.iter().filter(|pair| pair[half] == 0).count();
    let (first, second) = (empty(0), empty(1));
    let most = pairs.len() * 3 / 4;
    match pairs.len() >= 4 {
        true if second > most && first < pairs.len() / 4 => Some("UTF-16 (little-endian)"),
        true if first > most && second < pairs.len() / 4 => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}

fn line_of(bytes: &[u8], offset: usize) -> u32 {
    let breaks = memchr::memchr_iter(b'\n', bytes.get(..offset).unwrap_or_default()).count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_recognised() {
        let check = |bytes: &[u8], problem: &str, line: u32, offset: usize| {
            let not = decode(bytes.to_vec()).unwrap_err();
            assert!(not.problem.contains(problem), "{not:?}");
            assert_eq!((not.line, not.offset), (line, offset), "{not:?}");
        };
        let wide = |order: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
            let mark = mark.then_some(0xFEFF);
            let units = mark.into_iter().chain("SELECT 'grün';".encode_utf16());
            units.flat_map(order).collect()
        };
        check(b"SELECT 1;\n-- gr\xfcn", "byte 15 (0xFC)", 2, 15);
        check(b"SELECT 1;\n-- \xe2\x98", "byte 13 (0xE2)", 2, 13);
        check(
            &wide(u16::to_le_bytes, true),
            "UTF-16 (little-endian)",
            1,
            0,
        );
        check(&wide(u16::to_be_bytes, true), "UTF-16 (big-endian)", 1, 0);
        check(
            &wide(u16::to_le_bytes, false),
            "UTF-16 (little-endian)",
            1,
            0,
        );
        check(&wide(u16::to_be_bytes, false), "UTF-16 (big-endian)", 1, 0);
        check(b"\xff\xfe\0\0S\0\0\0", "UTF-32", 1, 0);
        check(b"a\n\nb\0c", "byte 4 is NUL", 3, 4);
        for good in ["", "a", "\u{feff}a", "grün ☃ \u{10ffff}", "ab"] {
            assert_eq!(decode(good.as_bytes().to_vec()).as_deref(), Ok(good));
        }
    }

    #[test]
    fn control_characters_in_names_are_found() {
        assert_eq!(
            control_in_name("V1__a\n.sql").as_deref(),
            Some("a line feed")
        );
        let escape = control_in_name("\u{1b}[2J");
        assert_eq!(escape.as_deref(), Some("the control character U+001B"));
        assert_eq!(control_in_name("V1__größe ☃.sql"), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_up_to_the_size_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "text").unwrap();
        std::os::unix::fs::symlink("a", path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        std::fs::File::create(path("large"))
            .unwrap()
            .set_len(LARGEST + 1)
            .unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(read(&path("link")).unwrap(), b"text");
        let refused = |name: &str| read(&path(name)).unwrap_err().to_string();
        assert_eq!(refused("pipe"), "the path is a pipe, not a regular file");
        assert_eq!(refused("zero"), "the path is a device, not a regular file");
        assert_eq!(refused("large"), "the file is larger than 256 MB");
        assert_eq!(refused("."), "the path is a folder, not a regular file");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_reached_by_two_paths_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("b")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(".", path("a")).unwrap();
        std::os::unix::fs::symlink("b", path("c")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), path("d")).unwrap();
        let mut walk = DirectoryWalk::default();
        let listed = walk.list(folder.path(), "schemas").unwrap();
        assert!(listed.iter().all(|entry| entry.is_folder));
        let seen = listed
            .iter()
            .map(|entry| match walk.list(&entry.path, &entry.shown) {
                Ok(_) => "listed".to_owned(),
                Err(error) => error.to_string(),
            });
        let seen: Vec<String> = seen.collect();
        assert_eq!(
            seen,
            [
                "schemas/a links to a folder that was already read as schemas",
                "listed",
                "schemas/c links to a folder that was already read as schemas/b",
                "listed",
            ]
        );
    }
}
