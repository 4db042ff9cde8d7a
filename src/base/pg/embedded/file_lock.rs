//! Locks of directories, which end with the owner's process, and removal of directories whose owner died.
//!
//! A process id alone proves nothing: it may have been reused.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::pg::child_server::{self, ShutdownMode};
use crate::pg::embedded::private_files;
use crate::pg::program::Program;

/// The name prefix of temporary server directories.
pub const SCRATCH_PREFIX: &str = "af-db-scratch-";

/// A lock held until it is dropped or the process dies.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// Waits for a lock by polling, as a blocked thread would not react to Ctrl-C.
pub async fn wait(path: &Path) -> Result<FileLock> {
    loop {
        if let Some(lock) = attempt(path)? {
            return Ok(lock);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes a lock unless another process holds it.
pub fn attempt(path: &Path) -> Result<Option<FileLock>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(FileLock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

/// Creates a lock file that no other process ever sees unlocked, in a directory of ours.
pub fn create(path: &Path) -> Result<FileLock> {
    let unlocked = path.with_extension("new");
    let lock = attempt(&unlocked)?.context("locking a new file")?;
    std::fs::rename(&unlocked, path).with_context(|| format!("naming {}", path.display()))?;
    Ok(lock)
}

/// Removes the shared memory of a killed server; its id is never reused by another.
pub fn forget_segment(segment: u32) {
    let id = segment.to_string();
    // Without the program, or when the segment is gone already, there is nothing to do.
    let _ = Program::new("ipcrm").args(["-m", &id]).run_silently();
}

fn open(path: &Path) -> Result<File> {
    private_files::open(path).map_err(|error| private_files::cannot_write(path, &error))
}

/// Removes every temporary server directory below `base` whose owner died, with the server in it.
///
/// What cannot be removed is left to the next sweep: another user owns it, or it is still in use.
pub fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(SCRATCH_PREFIX)
        {
            sweep_one(&entry.path());
        }
    }
}

fn sweep_one(directory: &Path) {
    let lock = directory.join("owner.lock");
    if !lock.exists() && is_young(directory) {
        // Its owner has just created it and is about to lock it.
        return;
    }
    let existing = private_files::open_foreign(&lock, File::options().write(true));
    if let Ok(file) = &existing
        && file.try_lock().is_err()
    {
        return;
    }
    if let Some(pid) = running_server(&directory.join("data")) {
        child_server::signal(pid, ShutdownMode::Immediate);
    }
    let _ = std::fs::remove_dir_all(directory);
}

fn is_young(directory: &Path) -> bool {
    directory
        .metadata()
        .and_then(|meta| meta.modified())
        .is_ok_and(|made| {
            made.elapsed()
                .is_ok_and(|age| age < Duration::from_secs(10))
        })
}

/// The content of `postmaster.pid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidFile {
    pub pid: u32,
    /// The id of its shared memory segment, if it has one.
    pub segment: Option<u32>,
    /// Whether it accepts connections.
    pub ready: bool,
}

/// Reads `postmaster.pid` in a data directory; `None` if it does not exist or is still being written.
pub fn pid_file(data: &Path) -> Option<PidFile> {
    // SQL that is only tried may write there.
    let path = data.join("postmaster.pid");
    let file = private_files::open_foreign(&path, File::options().read(true)).ok()?;
    let mut text = String::new();
    file.take(1 << 12).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    let segment = lines
        .nth(5)
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|id| id.parse().ok());
    let ready = lines.next().is_some_and(|line| line.trim() == "ready");
    Some(PidFile {
        pid,
        segment,
        ready,
    })
}

/// Returns the process id of the server that runs on a data directory; a reused id or a zombie does not count.
pub fn running_server(data: &Path) -> Option<u32> {
    let file = pid_file(data)?;
    runs_on(file.pid, data).then_some(file.pid)
}

#[cfg(target_os = "linux")]
fn runs_on(pid: u32, data: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let path = format!("/proc/{pid}/cmdline");
    // A zombie's command line is empty.
    let Ok(words) = std::fs::read(path) else {
        return false;
    };
    let data = data.as_os_str().as_bytes();
    words.split(|byte| *byte == 0).any(|word| word == data)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn runs_on(pid: u32, data: &Path) -> bool {
    program::command_line(pid).is_some_and(|words| words.contains(&*data.to_string_lossy()))
}

/// Without command lines, no process id is trusted.
#[cfg(not(unix))]
fn runs_on(_: u32, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_pid_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, expected: Option<PidFile>| {
            std::fs::write(folder.path().join("postmaster.pid"), text).unwrap();
            assert_eq!(pid_file(folder.path()), expected, "{text}");
        };
        check("", None);
        check(
            "77\n/data\n1700000000\n5432\n/tmp\n\n",
            Some(PidFile {
                pid: 77,
                ..PidFile::default()
            }),
        );
        check(
            "77\n/data\n1700000000\n5432\n/tmp\n\n  123456       42\nready   \n",
            Some(PidFile {
                pid: 77,
                segment: Some(42),
                ready: true,
            }),
        );
    }

    #[test]
    fn another_process_is_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let ours = std::process::id();
        std::fs::write(folder.path().join("postmaster.pid"), format!("{ours}\n")).unwrap();
        assert_eq!(running_server(folder.path()), None);
    }

    #[test]
    fn a_sweep_removes_directories_of_dead_owners_only() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("af-db-scratch-dead");
        let living = base.path().join("af-db-scratch-living");
        let stranger = base.path().join("something-else");
        for directory in [&dead, &living, &stranger] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("owner.lock"), "").unwrap();
        }
        // Another user may leave a pipe there, on which a sweep would block for ever.
        let planted = base.path().join("af-db-scratch-planted");
        #[cfg(unix)]
        for path in [
            planted.join("owner.lock"),
            planted.join("data/postmaster.pid"),
        ] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let pipe = rustix::fs::FileType::Fifo;
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, mode, 0).unwrap();
        }
        let _held = attempt(&living.join("owner.lock")).unwrap().unwrap();
        sweep(base.path());
        assert!(!dead.exists());
        assert!(!planted.exists());
        assert!(living.exists());
        assert!(stranger.exists());
    }
}
