//! The registry of development servers on this machine, with their projects.
//!
//! A server started by root is stored outside of its project, where the server's user can enter; a token in the project
//! identifies it, so that a moved project finds it again. Other servers are stored in their projects and only listed here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::pg::dev::registry_entry::{
    PROJECT, RegistryEntry, TOKEN, put, read, recorded_project, token_of,
};
use crate::pg::dev::server_dir::ServerDir;
use crate::pg::embedded::privileges;

/// The folder with the registry.
#[derive(Clone, Debug)]
pub struct ServerRegistry {
    base: PathBuf,
}

/// An entry with the location of its server.
#[derive(Clone, Debug)]
pub struct RegisteredServer {
    /// The server's directory.
    pub dir: ServerDir,
    /// `None` for servers of older versions, which did not record it.
    pub project: Option<PathBuf>,
    folder: PathBuf,
}

impl RegisteredServer {
    /// Returns whether the project no longer exists.
    pub fn is_gone(&self) -> bool {
        self.project
            .as_ref()
            .is_some_and(|project| !project.is_dir())
    }

    /// Returns the disk usage.
    pub fn bytes(&self) -> u64 {
        size(&self.dir.directory)
    }

    /// Removes it with its data; it must have been stopped.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

impl ServerRegistry {
    pub fn at(base: PathBuf) -> Self {
        ServerRegistry { base }
    }

    /// Returns root's registry, or the user's in the cache directory.
    pub fn usual(cache: &Path) -> Self {
        let base = if privileges::is_root() {
            PathBuf::from("/var/lib/af-db")
        } else {
            cache.join("dev")
        };
        ServerRegistry { base }
    }

    /// Returns the directory of a project's development server.
    pub fn server_dir(&self, project: &Path) -> ServerDir {
        let project = project
            .canonicalize()
            .unwrap_or_else(|_| project.to_owned());
        let folder = self.folder(&project);
        let directory = if privileges::is_root() {
            folder.clone()
        } else {
            project.join(".af-db/dev")
        };
        ServerDir {
            directory,
            record: Some(RegistryEntry { project, folder }),
        }
    }

    /// Lists the servers, by project.
    pub fn list(&self) -> Vec<RegisteredServer> {
        let mut listed: Vec<RegisteredServer> = self.folders().map(listed).collect();
        // A server stored in a removed project was removed with it.
        listed.retain(|one| one.dir.exists() || one.is_gone());
        listed.sort_by(|left, right| left.project.cmp(&right.project));
        listed
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
    }

    /// Finds the entry of a project: by its token if it was moved, else by its path.
    fn folder(&self, project: &Path) -> PathBuf {
        let token = token_of(project);
        if let Some(token) = &token {
            let mut folders = self.folders();
            let own = folders.find(|folder| read(folder, TOKEN).as_ref() == Some(token));
            if let Some(folder) = own
                && is_moved_to(&folder, project, token)
            {
                return folder;
            }
        }
        let mut number = 0;
        loop {
            let folder = self.base.join(name(project, number));
            let theirs = read(&folder, TOKEN);
            let is_free = theirs.is_none() && recorded_project(&folder).is_none();
            let is_own = recorded_project(&folder).as_deref() == Some(project)
                && (token.is_none() || theirs == token);
            if is_free || is_own {
                return folder;
            }
            number += 1;
        }
    }
}

/// Returns whether the entry's project is the given one, at its old path or moved: a copy has the same token, and its
/// original still exists.
fn is_moved_to(folder: &Path, project: &Path, token: &str) -> bool {
    match recorded_project(folder) {
        Some(recorded) if recorded == project => true,
        Some(recorded) if token_of(&recorded).as_deref() == Some(token) => false,
        Some(_) => {
            // Record the new path, or a new project at the old path would get the same server.
            put(folder, PROJECT, project.as_os_str().as_encoded_bytes()).is_ok()
        }
        None => false,
    }
}

fn listed(folder: PathBuf) -> RegisteredServer {
    let project = recorded_project(&folder);
    let directory = match &project {
        Some(project) if !privileges::is_root() => project.join(".af-db/dev"),
        _ => folder.clone(),
    };
    RegisteredServer {
        dir: ServerDir::at(directory),
        project,
        folder,
    }
}

/// Names an entry by the path of its project; with another number where a moved project uses the name.
fn name(project: &Path, number: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(project.as_os_str().as_encoded_bytes());
    if number > 0 {
        hash.update([0]);
        hash.update(number.to_be_bytes());
    }
    let digest = hash.finalize();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::dev::folder::ProjectFolder;
    use crate::pg::dev::registry_entry::SERVER;

    fn project(folder: &Path) -> PathBuf {
        fs::create_dir(folder).unwrap();
        folder.canonicalize().unwrap()
    }

    /// Creates a project with a server and returns the folder of its entry.
    fn registered(registry: &ServerRegistry, project: &Path) -> PathBuf {
        let dir = registry.server_dir(project);
        dir.make().unwrap();
        dir.record.unwrap().folder
    }

    #[test]
    fn a_moved_project_keeps_its_server_and_a_new_one_at_the_old_path_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let registry = ServerRegistry::at(folder.path().join("register"));
        let old = project(&folder.path().join("old"));
        let record = registered(&registry, &old);
        assert_eq!(registered(&registry, &old), record);
        let new = folder.path().join("new");
        fs::rename(&old, &new).unwrap();
        assert_eq!(registered(&registry, &new), record);
        project(&old);
        assert_ne!(registered(&registry, &old), record);
        assert_eq!(registered(&registry, &new), record);
    }

    #[test]
    fn a_copy_of_a_project_has_a_server_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let registry = ServerRegistry::at(folder.path().join("register"));
        let one = project(&folder.path().join("one"));
        let record = registered(&registry, &one);
        let copy = project(&folder.path().join("copy"));
        let token = token_of(&one).unwrap();
        ProjectFolder::of(&copy)
            .write(SERVER, TOKEN, &token)
            .unwrap();
        let other = registered(&registry, &copy);
        assert_ne!(other, record);
        assert_eq!(registered(&registry, &copy), other);
        assert_eq!(registered(&registry, &one), record);
        assert_ne!(token_of(&copy).unwrap(), token);
    }

    #[test]
    fn a_forged_token_does_not_give_access_to_another_server() {
        let folder = tempfile::tempdir().unwrap();
        let registry = ServerRegistry::at(folder.path().join("register"));
        let one = project(&folder.path().join("one"));
        let record = registered(&registry, &one);
        let thief = project(&folder.path().join("thief"));
        for token in ["", "0", "../one", &record.display().to_string()] {
            ProjectFolder::of(&thief)
                .write(SERVER, TOKEN, token)
                .unwrap();
            assert_ne!(
                registry.server_dir(&thief).record.unwrap().folder,
                record,
                "{token:?}"
            );
        }
    }

    #[test]
    fn servers_are_listed_with_their_projects() {
        let folder = tempfile::tempdir().unwrap();
        let registry = ServerRegistry::at(folder.path().join("register"));
        let (here, gone) = (
            project(&folder.path().join("here")),
            project(&folder.path().join("gone")),
        );
        registered(&registry, &here);
        registered(&registry, &gone);
        fs::remove_dir_all(&gone).unwrap();
        let listed = registry.list();
        let told: Vec<(Option<PathBuf>, bool)> = listed
            .iter()
            .map(|one| (one.project.clone(), one.is_gone()))
            .collect();
        assert_eq!(told, [(Some(gone), true), (Some(here.clone()), false)]);
        listed[0].remove().unwrap();
        assert_eq!(registry.list().len(), 1);
    }
}
