//! An entry of the registry: the files that assign a development server to its project.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::pg::dev::folder::ProjectFolder;
use crate::pg::dev::random::random_bytes;
use crate::pg::embedded::private_files;

/// The assignment of a server to its project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegistryEntry {
    /// The project's canonical path.
    pub(super) project: PathBuf,
    pub(super) folder: PathBuf,
}

/// The file with the project's path, in the entry's folder.
pub(super) const PROJECT: &str = "project";
/// The file with the token of the project, in the entry's folder and in the project's own.
pub(super) const TOKEN: &str = "token";
/// The subfolder of the project's own folder.
pub(super) const SERVER: &str = "server";

impl RegistryEntry {
    /// Records the assignment, here and in the project.
    pub(super) fn write(&self) -> io::Result<()> {
        private_files::make_folder(&self.folder).map_err(io::Error::other)?;
        let token = match (token_of(&self.project), read(&self.folder, TOKEN)) {
            (Some(token), Some(here)) if token == here => token,
            (_, Some(here)) if recorded_project(&self.folder).as_deref() == Some(&self.project) => {
                here
            }
            _ => fresh_token()?,
        };
        put(
            &self.folder,
            PROJECT,
            self.project.as_os_str().as_encoded_bytes(),
        )?;
        put(&self.folder, TOKEN, token.as_bytes())?;
        if token_of(&self.project).as_ref() != Some(&token) {
            ProjectFolder::of(&self.project).write(SERVER, TOKEN, &token)?;
        }
        Ok(())
    }
}

#[cfg(unix)]
pub(super) fn recorded_project(folder: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = fs::read(folder.join(PROJECT)).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(not(unix))]
pub(super) fn recorded_project(folder: &Path) -> Option<PathBuf> {
    read(folder, PROJECT).map(PathBuf::from)
}

pub(super) fn token_of(project: &Path) -> Option<String> {
    ProjectFolder::of(project).read(SERVER, TOKEN)
}

pub(super) fn read(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

pub(super) fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    if fs::read(folder.join(name)).is_ok_and(|there| there == content) {
        return Ok(());
    }
    // Created with mode 0600, beside the file it replaces.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.persist(folder.join(name))?;
    Ok(())
}

fn fresh_token() -> io::Result<String> {
    let bytes = random_bytes().map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
