//! The template of data directories: created once with `initdb`, kept in the cache, copied for every temporary server.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::error::fail;
use crate::event::{Event, Watch};
use crate::pg::embedded::binaries::Binaries;
use crate::pg::embedded::privileges::{self, User};
use crate::pg::embedded::{ChosenPrograms, Options, cluster, file_lock, private_files};
use crate::pg::program::Program;

/// The purpose of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Temporary: as few files as possible, no checksums, no `template1`.
    Slim,
    /// Persistent: unchanged output of `initdb`.
    Full,
}

/// Changed whenever templates are created differently, so that an old one in the cache is not used.
const RECIPE: &str = "2";

/// Returns the template's data directory, and creates it if the cache has none for these programs.
pub async fn ensure(
    options: &Options,
    programs: &ChosenPrograms,
    watch: Watch<'_>,
) -> Result<PathBuf> {
    let cache = options.cache().join("templates");
    let name = name(&programs.binaries, programs.user.as_ref())?;
    let ready = cache.join(&name);
    if ready.exists() {
        return Ok(ready);
    }
    private_files::secure_folder(&options.cache())?;
    private_files::secure_folder(&cache)?;
    let _lock = file_lock::wait(&cache.join("lock")).await?;
    if ready.exists() {
        return Ok(ready);
    }
    if !privileges::can_reach(programs.user.as_ref(), &ready) {
        let user = programs.user.as_ref().map_or("", |user| &user.name);
        let message = format!(
            "the cache {} is not accessible to the user `{user}`",
            cache.display()
        );
        return Err(fail(message)
            .hint("set AF_DB_CACHE_DIR to a directory that every user can enter")
            .into());
    }
    watch(Event::Info(
        "preparing the embedded PostgreSQL (once per version)",
    ));
    let part = cache.join(format!("{name}.part"));
    // A leftover of a killed run; the lock ensures that no other process uses it.
    let _ = fs::remove_dir_all(&part);
    fs::create_dir(&part).map_err(|error| private_files::cannot_write(&part, &error))?;
    privileges::give(&part, programs.user.as_ref())
        .with_context(|| format!("changing the owner of {}", part.display()))?;
    let made = make(programs, Kind::Slim, &part).await;
    if let Err(error) = made {
        let _ = fs::remove_dir_all(&part);
        return Err(error);
    }
    fs::rename(&part, &ready).map_err(|error| private_files::cannot_write(&ready, &error))?;
    Ok(ready)
}

/// Creates a persistent cluster with an identity of its own.
pub async fn cluster(programs: &ChosenPrograms, data: &Path) -> Result<()> {
    fs::create_dir(data).map_err(|error| private_files::cannot_write(data, &error))?;
    privileges::give(data, programs.user.as_ref())
        .with_context(|| format!("changing the owner of {}", data.display()))?;
    make(programs, Kind::Full, data).await
}

/// A template depends on the build of the programs, the recipe and the user.
fn name(binaries: &Binaries, user: Option<&User>) -> Result<String> {
    let postgres = binaries.program("postgres");
    let meta = postgres
        .metadata()
        .with_context(|| format!("looking at {}", postgres.display()))?;
    let mut hash = Sha256::new();
    hash.update(postgres.as_os_str().as_encoded_bytes());
    hash.update(format!("{:?} {}", meta.modified().ok(), meta.len()));
    hash.update(format!(" {RECIPE} {:?}", user.map(|user| user.uid)));
    let digest = hash.finalize();
    let short: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("{}-slim-{short}", binaries.version))
}

async fn make(programs: &ChosenPrograms, kind: Kind, data: &Path) -> Result<()> {
    // C.UTF-8 converts the case of every script; machines without it use plain C.
    let first = init(programs, kind, data, "--locale=C.UTF-8").await?;
    if !first.status.success() {
        if !first.stderr.contains("locale") {
            return Err(explain(first.check("initdb failed").err()));
        }
        init(programs, kind, data, "--no-locale")
            .await?
            .check("initdb failed")
            .map_err(|error| explain(Some(error)))?;
    }
    if kind == Kind::Slim {
        remove_unneeded(programs, data).await?;
    }
    Ok(())
}

fn explain(error: Option<anyhow::Error>) -> anyhow::Error {
    let error = error.unwrap_or_else(|| anyhow::anyhow!("initdb failed"));
    let words = error.to_string();
    let hint = if words.contains("could not look up effective user ID") {
        "PostgreSQL needs a user name: add the user id to /etc/passwd"
    } else if words.contains("No space left") {
        "free disk space there, or set AF_DB_CACHE_DIR and AF_DB_SCRATCH_DIR to directories with free space"
    } else {
        return error;
    };
    let complaint = cluster::complaint(&words).unwrap_or(&words);
    fail(format!("initdb failed: {complaint}"))
        .hint(hint)
        .into()
}

async fn init(
    programs: &ChosenPrograms,
    kind: Kind,
    data: &Path,
    locale: &str,
) -> Result<crate::pg::program::ProgramOutput> {
    let mut program = Program::new(programs.binaries.program("initdb"))
        .arg("--pgdata")
        .arg(data)
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
        .args(["--no-sync", "--no-instructions", locale])
        .user(programs.user.as_ref());
    if kind == Kind::Slim {
        program = program.arg("--wal-segsize=1");
        if programs.binaries.version.major >= 18 {
            program = program.arg("--no-data-checksums");
        }
    }
    program.run().await
}

/// Drops `template1`, which we never copy, and files that PostgreSQL recreates on demand: half as many files to copy for
/// every server, and a quarter fewer for every database created on it.
async fn remove_unneeded(programs: &ChosenPrograms, data: &Path) -> Result<()> {
    let sql = "UPDATE pg_database SET datistemplate = false WHERE datname = 'template1';\nDROP DATABASE template1;\n";
    Program::new(programs.binaries.program("postgres"))
        .args(["--single", "-F", "-D"])
        .arg(data)
        .arg("postgres")
        .user(programs.user.as_ref())
        .input(sql)
        .run()
        .await?
        .check("preparing the template failed")?;
    anyhow::ensure!(
        !data.join("base/1").exists(),
        "preparing the template failed: template1 is still there"
    );
    for database in fs::read_dir(data.join("base")).context("reading the template")? {
        drop_maps(&database.context("reading the template")?.path())?;
    }
    Ok(())
}

/// Removes the free space and visibility maps of every table, which are optional.
fn drop_maps(database: &Path) -> Result<()> {
    for file in fs::read_dir(database).context("reading the template")? {
        let path = file.context("reading the template")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with("_fsm") || name.ends_with("_vm") {
            fs::remove_file(&path).context("preparing the template")?;
        }
    }
    Ok(())
}

/// Copies a template to a path that does not exist yet.
pub fn copy(template: &Path, to: &Path, user: Option<&User>) -> Result<()> {
    let mut files = Vec::new();
    directories(template, to, user, &mut files)
        .map_err(|error| private_files::cannot_write(to, &error))?;
    let next = AtomicUsize::new(0);
    let work = || -> std::io::Result<()> {
        while let Some(name) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            copy_file(&template.join(name), &to.join(name), user)?;
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(4);
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = vec![work()];
        for worker in workers {
            results.push(
                worker
                    .join()
                    .unwrap_or_else(|_| Err(std::io::Error::other("a copying thread failed"))),
            );
        }
        results
    });
    results
        .into_iter()
        .collect::<std::io::Result<()>>()
        .map_err(|error| private_files::cannot_write(to, &error))
}

/// Creates the directories and lists the files, relative to the template.
fn directories(
    template: &Path,
    to: &Path,
    user: Option<&User>,
    files: &mut Vec<OsString>,
) -> std::io::Result<()> {
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        private_files::make_private(&to.join(&directory))?;
        privileges::give(&to.join(&directory), user)?;
        for entry in fs::read_dir(template.join(&directory))? {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                waiting.push(name);
            } else {
                files.push(name.into_os_string());
            }
        }
    }
    Ok(())
}

/// Most files are a page or two: reading and writing whole files takes fewer system calls than a kernel copy.
fn copy_file(from: &Path, to: &Path, user: Option<&User>) -> std::io::Result<()> {
    let content = fs::read(from)?;
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(to)?;
    file.write_all(&content)?;
    #[cfg(unix)]
    if let Some(user) = user {
        std::os::unix::fs::fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    let _ = user;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::hint_of;

    fn shown(error: &anyhow::Error) -> String {
        format!("{error}\nhint: {}", hint_of(error).unwrap_or("none"))
    }

    #[test]
    fn a_full_disk_is_reported_with_a_hint() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        insta::assert_snapshot!(shown(&private_files::cannot_write(Path::new("/cache/x"), &full)), @r"
        cannot write /cache/x: no storage space
        hint: free disk space there, or set AF_DB_CACHE_DIR and AF_DB_SCRATCH_DIR to directories with free space
        ");
    }

    #[test]
    fn errors_of_initdb_are_reported_with_a_hint() {
        let words = "initdb failed (exit status: 1): 2026 [5889] FATAL:  could not extend file \"base/1\": No space left on device\n2026 [5889] HINT:  Check free disk space.";
        insta::assert_snapshot!(shown(&explain(Some(anyhow::anyhow!(words)))), @r#"
        initdb failed: could not extend file "base/1": No space left on device
        hint: free disk space there, or set AF_DB_CACHE_DIR and AF_DB_SCRATCH_DIR to directories with free space
        "#);
        let words = "initdb failed (exit status: 1): initdb: error: could not look up effective user ID 23456: user does not exist";
        insta::assert_snapshot!(shown(&explain(Some(anyhow::anyhow!(words)))), @r"
        initdb failed: could not look up effective user ID 23456: user does not exist
        hint: PostgreSQL needs a user name: add the user id to /etc/passwd
        ");
        let words = "initdb failed (exit status: 1): no error message";
        insta::assert_snapshot!(shown(&explain(Some(anyhow::anyhow!(words)))), @"
        initdb failed (exit status: 1): no error message
        hint: none
        ");
    }

    #[test]
    fn a_tree_is_copied_completely() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir_all(from.join("base/5")).unwrap();
        fs::create_dir(from.join("pg_notify")).unwrap();
        for number in 0..50 {
            fs::write(from.join(format!("base/5/{number}")), vec![7; number * 100]).unwrap();
        }
        let to = folder.path().join("to");
        copy(&from, &to, None).unwrap();
        assert_eq!(fs::read(to.join("base/5/49")).unwrap(), vec![7; 4900]);
        assert!(to.join("pg_notify").is_dir());
        assert_eq!(fs::read_dir(to.join("base/5")).unwrap().count(), 50);
        // Never over existing files.
        assert!(copy(&from, &to, None).is_err());
    }
}
