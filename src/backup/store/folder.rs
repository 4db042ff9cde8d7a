//! Archives in a folder: written into `<name>.partial`, synced, then renamed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::archive::{self, DESCRIPTION};
use crate::error::fail;
use crate::file_encoding::Sink;

/// A folder that holds archives.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
}

/// The ending of what is not complete.
const PARTIAL: &str = ".partial";
/// Locked while an archive is written, to distinguish a running backup from leftovers.
const LOCK: &str = ".lock";

impl Folder {
    /// Names a folder, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Folder { path: path.into() }
    }

    pub(super) fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = entries(&self.path)?
            .into_iter()
            .filter(|name| !name.ends_with(PARTIAL))
            .filter(|name| self.path.join(name).join(DESCRIPTION).is_file())
            .collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn names_with(&self, file: &str) -> Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| self.path.join(name).join(file).is_file());
        Ok(names)
    }

    pub(super) fn files(&self, name: &str) -> Result<Vec<String>> {
        entries(&self.path.join(name))
    }

    pub(super) fn sizes(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        let size = |file: String| {
            let path = self.path.join(name).join(&file);
            let size = fs::metadata(&path).map(|found| found.len());
            size.map(|size| (file, size))
                .with_context(|| format!("reading {}", path.display()))
        };
        self.files(name)?.into_iter().map(size).collect()
    }

    pub(super) fn read(&self, name: &str, file: &str) -> Result<Box<dyn Read + Send>> {
        let path = self.path.join(name).join(file);
        match open_regular(&path) {
            Ok(Some(file)) => Ok(Box::new(BufReader::with_capacity(256 << 10, file))),
            Ok(None) => Err(super::no_file(name, file).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(super::missing(name, file, &self.path.display().to_string()).into())
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(super) fn begin(&self, name: &str) -> Result<Pending> {
        make_folder(&self.path)?;
        self.sweep();
        let path = self.path.join(format!("{name}{PARTIAL}"));
        let done = self.path.join(name);
        if done.exists() {
            return Err(fail(format!("backup `{name}` already exists"))
                .hint("wait a second and try again")
                .into());
        }
        let busy = || {
            fail(format!("another backup is writing `{name}` in this second"))
                .hint("wait a second and try again")
        };
        // Created exclusively: two backups must not write the same files.
        if !make_new_folder(&path)? {
            return Err(busy().into());
        }
        let lock = create(&path.join(LOCK))?;
        // RenameResult away in the moment before it is ours only by one that sweeps.
        if !lock_file(&lock) && cfg!(unix) {
            return Err(busy().into());
        }
        Ok(Pending {
            path,
            done,
            _lock: lock,
            committed: false,
        })
    }

    /// Removes what killed runs left: a partial archive whose writer is gone.
    fn sweep(&self) {
        for name in entries(&self.path).unwrap_or_default() {
            let path = self.path.join(&name);
            if !is_partial(&path, &name) {
                continue;
            }
            let Ok(lock) = File::open(path.join(LOCK)) else {
                continue;
            };
            if lock_file(&lock) {
                // What cannot be removed now is not listed anyhow.
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// Names what interrupted backups left behind, which the next backup removes.
    pub(super) fn partial(&self) -> Result<Vec<String>> {
        let mut left = entries(&self.path)?;
        left.retain(|name| {
            let path = self.path.join(name);
            let lock = || File::open(path.join(LOCK));
            is_partial(&path, name) && lock().is_ok_and(|lock| lock_file(&lock))
        });
        Ok(left)
    }

    pub(super) fn add(&self, name: &str, file: &str, bytes: &[u8]) -> Result<()> {
        let folder = self.path.join(name);
        let partial = folder.join(format!("{file}{PARTIAL}"));
        let mut open = create(&partial)?;
        open.write_all(bytes)
            .and_then(|()| open.sync_all())
            .and_then(|()| fs::rename(&partial, folder.join(file)))
            .with_context(|| format!("writing {file} into {}", folder.display()))
    }

    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        if path.is_symlink() {
            return Err(fail(format!(
                "{} is a symbolic link; the backup it points to was not removed",
                path.display()
            ))
            .hint("remove the link, or the backup at its real path")
            .into());
        }
        let described = fs::remove_file(path.join(DESCRIPTION));
        described
            .and_then(|()| fs::remove_dir_all(&path))
            .with_context(|| format!("removing {}", path.display()))
    }

    pub(super) fn free(&self) -> Option<u64> {
        free(&self.path)
    }
}

/// Opens a file; nothing where it is a link, a device, a pipe or a folder, which could lead elsewhere or never end.
fn open_regular(path: &Path) -> io::Result<Option<File>> {
    if fs::symlink_metadata(path)?.file_type().is_symlink() {
        return Ok(None);
    }
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        // Opening a pipe would wait for a writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.cast_signed());
    }
    let file = options.open(path)?;
    let is_file = file.metadata()?.is_file();
    Ok(is_file.then_some(file))
}

pub fn free(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    #[cfg(unix)]
    {
        let there = existing.filter(|found| !found.as_os_str().is_empty());
        let stat = rustix::fs::statvfs(there.unwrap_or(Path::new("."))).ok()?;
        // What is no disk at all says nothing.
        (stat.f_blocks > 0).then_some(stat.f_bavail * stat.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = existing;
        None
    }
}

/// An archive being written.
pub struct Pending {
    path: PathBuf,
    done: PathBuf,
    _lock: File,
    committed: bool,
}

impl Pending {
    pub(super) fn create(&self, file: &str) -> Result<Box<dyn Sink>> {
        Ok(Box::new(FileSink(create(&self.path.join(file))?)))
    }

    pub(super) fn commit(mut self, description: &[u8]) -> Result<()> {
        let mut file = create(&self.path.join(DESCRIPTION))?;
        file.write_all(description)
            .and_then(|()| file.sync_all())
            .with_context(|| format!("writing {DESCRIPTION}"))?;
        let _ = fs::remove_file(self.path.join(LOCK));
        sync_folder(&self.path)?;
        fs::rename(&self.path, &self.done)
            .with_context(|| format!("naming {}", self.done.display()))?;
        self.committed = true;
        match self.done.parent() {
            Some(parent) => sync_folder(parent),
            None => Ok(()),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.committed {
            // What stays in spite of this is swept by the next backup.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

struct FileSink(File);

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for FileSink {
    fn complete(self: Box<Self>) -> Result<()> {
        self.0.sync_all().context("writing to disk")
    }
}

/// Returns whether a folder is an archive in progress or its leftover, which contains only our files.
fn is_partial(path: &Path, name: &str) -> bool {
    let is_ours =
        |file: &String| file == LOCK || file == DESCRIPTION || archive::is_stored_name(file);
    let is_named = name
        .strip_suffix(PARTIAL)
        .is_some_and(archive::is_archive_name);
    is_named && !path.is_symlink() && entries(path).is_ok_and(|files| files.iter().all(is_ours))
}

fn entries(path: &Path) -> Result<Vec<String>> {
    let listed = match fs::read_dir(path) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("listing {}", path.display())),
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.with_context(|| format!("listing {}", path.display()))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Creates a folder that only we can enter, because an archive contains all rows.
fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(file) = path
        .ancestors()
        .find(|part| part.exists() && !part.is_dir())
    {
        return Err(fail(format!("{} is a file, not a folder", file.display()))
            .hint("use a folder; af-db creates it if it does not exist")
            .into());
    }
    builder()
        .recursive(true)
        .create(path)
        .with_context(|| format!("creating folder {}", path.display()))
}

/// Makes a folder like this, unless it is there.
fn make_new_folder(path: &Path) -> Result<bool> {
    match builder().create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("creating folder {}", path.display())),
    }
}

fn builder() -> fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn create(path: &Path) -> Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .with_context(|| format!("creating {}", path.display()))
}

/// Takes the lock of a partial archive if no running process holds it.
#[cfg(unix)]
fn lock_file(file: &File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[cfg(not(unix))]
fn lock_file(_: &File) -> bool {
    false
}

fn sync_folder(path: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("syncing {}", path.display()))?;
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_listed_when_complete_and_leftovers_are_swept() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::new(temp.path().join("store"));
        assert!(folder.names().unwrap().is_empty());
        let pending = folder.begin("a-1").unwrap();
        pending.create("x").unwrap().complete().unwrap();
        assert!(folder.names().unwrap().is_empty());
        pending.commit(b"{}").unwrap();
        assert_eq!(folder.names().unwrap(), ["a-1"]);
        assert!(folder.begin("a-1").is_err());

        // Dropped: removed. Killed: left, and swept by the next.
        drop(folder.begin("a-2").unwrap());
        assert!(!folder.path.join("a-2.partial").exists());
        let killed = "a-20260102T030405Z.partial";
        // Folders with a similar name are not ours.
        let others = ["mine.partial", "b-20260102T030405Z.partial"];
        for name in others.into_iter().chain([killed]) {
            fs::create_dir(folder.path.join(name)).unwrap();
            fs::write(folder.path.join(name).join(LOCK), "").unwrap();
        }
        fs::write(folder.path.join(others[1]).join("thesis.txt"), "").unwrap();
        assert_eq!(folder.partial().unwrap(), [killed]);
        let running = folder.begin("a-20260102T030406Z").unwrap();
        assert!(!folder.path.join(killed).exists());
        assert!(others.iter().all(|name| folder.path.join(name).exists()));
        assert!(folder.partial().unwrap().is_empty());
        let other = folder.begin("a-5").unwrap();
        assert!(running.path.exists());
        // Another of the same second would write into the same files.
        let error = folder.begin("a-5").err().unwrap().to_string();
        assert!(error.contains("another backup"), "{error}");
        drop((running, other));

        folder.remove("a-1").unwrap();
        assert!(folder.names().unwrap().is_empty());
        let error = folder.read("a-1", DESCRIPTION).err().unwrap();
        assert!(error.to_string().contains("no backup `a-1`"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_read() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::new(temp.path());
        let archive = temp.path().join("a");
        fs::create_dir(&archive).unwrap();
        fs::write(temp.path().join("outside"), "secret").unwrap();
        fs::write(archive.join("file"), "content").unwrap();
        fs::create_dir(archive.join("folder")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", archive.join("device")).unwrap();
        std::os::unix::fs::symlink("../outside", archive.join("link")).unwrap();
        let pipe = archive.join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(archive.join("socket")).unwrap();
        for name in ["folder", "device", "link", "pipe"] {
            let error = folder.read("a", name).err().unwrap().to_string();
            assert!(error.contains("is not a regular file"), "{name}: {error}");
        }
        assert!(folder.read("a", "socket").is_err());
        let mut content = String::new();
        folder
            .read("a", "file")
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "content");

        // What a link leads to is not ours to remove.
        fs::write(archive.join(DESCRIPTION), "{}").unwrap();
        let linked = Folder::new(temp.path().join("store"));
        fs::create_dir(&linked.path).unwrap();
        std::os::unix::fs::symlink(&archive, linked.path.join("a")).unwrap();
        assert!(linked.remove("a").is_err());
        assert!(archive.join(DESCRIPTION).exists());
    }
}
