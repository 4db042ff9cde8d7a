//! Owns who may touch a directory: an owner's lock that ends with its process, and the sweep of what the dead left.
//!
//! A process id alone is never believed: it may long belong to somebody else.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::pg::child_server::{self, ShutdownMode};
use crate::pg::embedded::private_files;
use crate::pg::program::Program;

/// The name of every throwaway directory starts so.
pub const SCRATCH_PREFIX: &str = "af-db-scratch-";

/// A file locked by us until it is dropped or we die.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// Takes a lock, waiting for whoever holds it; asks again and again, as a blocked thread would not hear Ctrl-C.
pub async fn wait(path: &Path) -> Result<FileLock> {
    loop {
        if let Some(lock) = attempt(path)? {
            return Ok(lock);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Takes a lock, or gives nothing when somebody else holds it.
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

/// Makes a lock file that nobody ever sees unlocked, in a directory of ours.
pub fn create(path: &Path) -> Result<FileLock> {
    let unlocked = path.with_extension("new");
    let lock = attempt(&unlocked)?.context("locking a file that only we know")?;
    std::fs::rename(&unlocked, path).with_context(|| format!("naming {}", path.display()))?;
    Ok(lock)
}

/// Removes the shared memory a killed server left behind; it keeps its id for nobody else.
pub fn forget_segment(segment: u32) {
    let id = segment.to_string();
    // Without the program, or when the segment is gone already, there is nothing to be done.
    let _ = Program::new("ipcrm").args(["-m", &id]).run_silently();
}

fn open(path: &Path) -> Result<File> {
    private_files::open(path).map_err(|error| private_files::cannot_write(path, &error))
}

/// Removes every throwaway directory below `base` whose owner is gone, with the server in it.
///
/// What cannot be removed is left to the next sweep: it is somebody else's, or still ending.
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
        // Its owner has made it a moment ago and is about to lock it.
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

/// What a server says of itself in `postmaster.pid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidFile {
    /// Its process id.
    pub pid: u32,
    /// The id of its shared memory segment, where it says one.
    pub segment: Option<u32>,
    /// Whether it takes sessions.
    pub ready: bool,
}

/// Reads `postmaster.pid` in a data directory; nothing when there is none or it is still being written.
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

/// Returns the process id of the server that runs on a data directory; a recycled id or a zombie is no server.
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

/// Where no command line can be read, no process id is believed.
#[cfg(not(unix))]
fn runs_on(_: u32, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_as_far_as_it_is_written() {
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
    fn a_process_of_somebody_else_is_no_server() {
        let folder = tempfile::tempdir().unwrap();
        let ours = std::process::id();
        std::fs::write(folder.path().join("postmaster.pid"), format!("{ours}\n")).unwrap();
        assert_eq!(running_server(folder.path()), None);
    }

    #[test]
    fn a_sweep_takes_the_dead_and_leaves_the_living() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("af-db-scratch-dead");
        let living = base.path().join("af-db-scratch-living");
        let stranger = base.path().join("something-else");
        for directory in [&dead, &living, &stranger] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("owner.lock"), "").unwrap();
        }
        // Anybody may leave something there on which a sweep would wait for ever.
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
