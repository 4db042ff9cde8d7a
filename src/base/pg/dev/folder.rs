//! The folder `.af-db/` of a project: this machine's state of it, ignored by version control and private to the user.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct ProjectFolder {
    project: PathBuf,
}

impl ProjectFolder {
    /// The folder need not exist yet.
    pub fn of(project: &Path) -> Self {
        ProjectFolder {
            project: project.to_owned(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.project.join(".af-db")
    }

    /// Creates the folder and a subfolder.
    pub fn make(&self, inner: &str) -> io::Result<PathBuf> {
        let folder = self.path();
        self.make_private(&folder)?;
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n")?;
            self.give(&ignore)?;
        }
        let inner = folder.join(inner);
        self.make_private(&inner)?;
        Ok(inner)
    }

    pub fn read(&self, inner: &str, name: &str) -> Option<String> {
        let bytes = fs::read(self.path().join(inner).join(name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Lists the files of a subfolder.
    pub fn names(&self, inner: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(inner));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// Writes a file in a subfolder atomically.
    pub fn write(&self, inner: &str, name: &str, text: &str) -> io::Result<()> {
        let folder = self.make(inner)?;
        // Created with mode 0600, beside the file it replaces.
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(text.as_bytes())?;
        self.give(file.path())?;
        file.persist(folder.join(name))?;
        Ok(())
    }

    fn make_private(&self, folder: &Path) -> io::Result<()> {
        match fs::symlink_metadata(folder) {
            Ok(meta) if meta.is_dir() => return restrict_permissions(folder, &meta),
            // Root would write wherever the link leads.
            Ok(_) => return Err(io::Error::other("not a folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(folder) {
            // Another command has created it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.give(folder),
        }
    }

    /// Changes the owner of what root created to the project's owner, who also works here without root.
    #[cfg(unix)]
    fn give(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt as _, lchown};
        if !crate::pg::embedded::privileges::is_root() {
            return Ok(());
        }
        let owner = self.project.metadata()?;
        lchown(path, Some(owner.uid()), Some(owner.gid()))
    }

    #[cfg(not(unix))]
    fn give(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Restricts the permissions of a folder created by an earlier version, or with a wide umask.
#[cfg(unix)]
fn restrict_permissions(folder: &Path, meta: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = meta.permissions().mode();
    if mode & 0o022 == 0 {
        return Ok(());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o7755))
}

#[cfg(not(unix))]
fn restrict_permissions(_: &Path, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
