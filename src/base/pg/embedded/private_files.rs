//! Files and folders that no other user can change, whatever the umask, and that are not reached through symbolic links.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::fail;
use crate::pg::embedded::privileges;

/// Opens or creates a file for reading and writing; only its owner may open it, so that no other user can lock it.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    only_ours(&mut options);
    let file = options.open(path)?;
    restrict_permissions(&file)?;
    Ok(file)
}

/// Opens a file that another user may have put there: without blocking, and only a regular file.
pub fn open_foreign(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    only_ours(options);
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Creates a new file, readable by its owner only.
pub fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.create_new(true).write(true);
    only_ours(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn only_ours(options: &mut fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options
        .mode(0o600)
        .custom_flags(i32::try_from(flags.bits()).expect("flags of open fit an int"));
}

#[cfg(not(unix))]
fn only_ours(_: &mut fs::OpenOptions) {}

/// Restricts the permissions of a file created by an earlier version, or with a wide umask.
#[cfg(unix)]
fn restrict_permissions(file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let meta = file.metadata()?;
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    if is_ours && meta.is_file() && meta.mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn restrict_permissions(_: &File) -> io::Result<()> {
    Ok(())
}

/// Creates a folder and its parents, writable by us only; root's can be entered by the server's user.
pub fn make_folder(path: &Path) -> anyhow::Result<()> {
    let failed = |error: io::Error| cannot_write(path, &error);
    if !path.exists() {
        if let Some(parent) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            make_folder(parent)?;
        }
        return match build(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            built => built.map_err(failed),
        };
    }
    Ok(())
}

/// Restricts the permissions of an existing folder, such as a cache; fails on a folder of another user, who could put
/// programs into it.
#[cfg(unix)]
pub fn secure_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    make_folder(path)?;
    let failed = |error: io::Error| cannot_write(path, &error);
    let meta = path.metadata().map_err(failed)?;
    let is_open = |meta: &fs::Metadata| meta.mode() & 0o002 != 0;
    if meta.uid() == rustix::process::geteuid().as_raw() {
        // In a sticky folder like /tmp other users may write, but not touch our files.
        let is_shared = meta.mode() & 0o1000 != 0;
        if meta.mode() & 0o022 != 0 && !is_shared {
            let mode = meta.mode() & 0o7755;
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        return Ok(());
    }
    let parent = path.parent().and_then(|parent| parent.metadata().ok());
    let is_planted = parent.is_some_and(|parent| is_open(&parent));
    let is_trusted = meta.uid() == 0 || privileges::is_root() && !is_planted;
    if !is_trusted {
        return Err(crate::error::fail(format!(
            "{} is owned by another user, who could put programs into it",
            path.display()
        ))
        .hint("set AF_DB_CACHE_DIR to a folder of your own")
        .into());
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn secure_folder(path: &Path) -> anyhow::Result<()> {
    make_folder(path)
}

#[cfg(unix)]
fn build(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    fs::DirBuilder::new().mode(0o755).create(path)?;
    if privileges::is_root() {
        // The server's user must be able to enter it, whatever our umask.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn build(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

pub fn cannot_write(path: &Path, error: &std::io::Error) -> anyhow::Error {
    use std::io::ErrorKind;
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free disk space there, or set AF_DB_CACHE_DIR and AF_DB_SCRATCH_DIR to directories with free space"
        }
        _ => "set AF_DB_CACHE_DIR and AF_DB_SCRATCH_DIR to writable directories",
    };
    fail(format!("cannot write {}: {error}", path.display()))
        .hint(hint)
        .into()
}

/// Creates a directory that only its owner can enter; PostgreSQL accepts no other.
pub fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(directory)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn new_and_existing_files_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(open(&link).is_err());
        create(&link).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        assert_eq!(fs::read_to_string(&link).unwrap(), "");
    }

    #[test]
    fn folders_are_writable_by_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        secure_folder(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        secure_folder(&path).unwrap();
        assert_eq!(mode(&path), 0o755);
        assert_eq!(mode(&folder.path().join("a")), 0o755);
    }
}
