//! The directory of a temporary server: in memory if there is space, removed even if we are killed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::error::fail;
use crate::event::{Event, Watch};
use crate::pg::embedded::{
    ChosenPrograms, Options, file_lock, private_files, privileges, template,
};
use crate::pg::program::Watchdog;

/// The directory of a temporary server, with the watchdog that removes it if we are killed.
pub struct ScratchDir {
    pub directory: PathBuf,
    _lock: file_lock::FileLock,
    _watchdog: Option<Watchdog>,
}

impl ScratchDir {
    /// Removes it; the server must have ended.
    pub fn clear(&self) {
        // Leftovers are removed by the watchdog or the next run.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Creates the directory, in memory if there is space, and copies the template into it.
pub fn create(
    options: &Options,
    programs: &ChosenPrograms,
    template: &Path,
    watch: Watch<'_>,
) -> Result<ScratchDir> {
    let bases = bases(options, programs);
    for base in &bases {
        file_lock::sweep(base);
    }
    let mut obstacle = fail("no suitable directory for a temporary PostgreSQL server")
        .hint("set AF_DB_SCRATCH_DIR to a directory with a short path that the server's user can enter")
        .into();
    for base in bases {
        match create_in(&base, programs, template) {
            Ok(scratch_dir) => return Ok(scratch_dir),
            Err(error) => {
                watch(Event::Warning(&format!(
                    "cannot use {}: {error:#}",
                    base.display()
                )));
                obstacle = error;
            }
        }
    }
    Err(obstacle)
}

fn create_in(base: &Path, programs: &ChosenPrograms, template: &Path) -> Result<ScratchDir> {
    let user = programs.user.as_ref();
    let directory = base.join(format!("{}{}", file_lock::SCRATCH_PREFIX, random_name()));
    // The watchdog comes first, so that nothing is left behind whenever we are killed. An image without a shell works
    // without it: the system's death signal and the next run's sweep remain.
    let watchdog = Watchdog::start(&directory, user).ok();
    private_files::make_private(&directory)
        .map_err(|error| private_files::cannot_write(&directory, &error))?;
    let lock = file_lock::create(&directory.join("owner.lock"));
    let scratch_dir = ScratchDir {
        _lock: match lock {
            Ok(lock) => lock,
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                return Err(error);
            }
        },
        directory,
        _watchdog: watchdog,
    };
    let filled = privileges::give(&scratch_dir.directory, user)
        .map_err(|error| private_files::cannot_write(&scratch_dir.directory, &error))
        .and_then(|()| template::copy(template, &scratch_dir.directory.join("data"), user));
    if let Err(error) = filled {
        scratch_dir.clear();
        return Err(error);
    }
    Ok(scratch_dir)
}

/// The free memory needed to put a temporary server there.
const SPACE_IN_MEMORY: u64 = 1 << 30;

/// The longest socket path that every system supports, less the socket's own name.
const LONGEST_DIRECTORY: usize = 103 - "/.s.PGSQL.5432".len();

/// Returns the candidate directories for a temporary server, the fastest first.
fn bases(options: &Options, programs: &ChosenPrograms) -> Vec<PathBuf> {
    let mut bases = Vec::new();
    match &options.scratch_dir {
        Some(named) => bases.push(named.clone()),
        None => {
            if free(Path::new("/dev/shm")) >= SPACE_IN_MEMORY {
                bases.push(PathBuf::from("/dev/shm"));
            }
            bases.push(options.temp_dir.clone().unwrap_or_else(std::env::temp_dir));
            bases.extend(["/tmp", "/var/tmp"].map(PathBuf::from));
        }
    }
    let longest = LONGEST_DIRECTORY - file_lock::SCRATCH_PREFIX.len() - NAME_LENGTH - 1;
    let mut usable: Vec<PathBuf> = Vec::new();
    for base in bases {
        let fits = base.as_os_str().len() <= longest;
        if fits
            && base.is_dir()
            && !usable.contains(&base)
            && privileges::can_reach(programs.user.as_ref(), &base.join("x"))
        {
            usable.push(base);
        }
    }
    usable
}

#[cfg(unix)]
fn free(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |stat| stat.f_bavail * stat.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> u64 {
    0
}

const NAME_LENGTH: usize = 10;

/// Returns a unique name; directories are created exclusively, so that a clash is an error.
pub fn random_name() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let mut name = format!("{:016x}", hasher.finish());
    name.truncate(NAME_LENGTH);
    name
}
