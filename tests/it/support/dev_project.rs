//! A project with a development server, and the program run in it without the tester's environment.

use std::path::Path;
use std::process::Stdio;

use af_db::pg::dev::{self, ServerDir, ServerRegistry};
use af_db::pg::embedded::Options;
use tempfile::TempDir;

use crate::support::packages;

/// Variables that would change where the program works.
const SURROUNDINGS: &[&str] = &[
    "AF_DB_ALLOW_MAJOR_MISMATCH",
    "AF_DB_ENV",
    "AF_DB_OFFLINE",
    "AF_DB_PG_BIN",
    "AF_DB_PG_MIRROR",
    "AF_DB_SCRATCH_DIR",
    "AF_DB_SHADOW_URL",
    "DATABASE_URL",
    "DIRECT_URL",
    "PGDATABASE",
    "PGHOST",
    "PGPASSWORD",
    "PGPORT",
    "PGUSER",
    "POSTGRES_DB",
    "POSTGRES_HOST",
    "POSTGRES_PASSWORD",
    "POSTGRES_PORT",
    "POSTGRES_USER",
    "RUST_BACKTRACE",
    "SUPABASE_DB_URL",
];

/// A project folder; dropping it stops and removes its development server.
pub(crate) struct DevProject {
    folder: TempDir,
}

impl DevProject {
    /// Creates an empty project, which the server's user can enter when the tests run as root.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("af-db-project-")
            .tempdir_in("/var/tmp")
            .expect("a folder");
        // Otherwise the nearest repository above would be used as the project.
        std::fs::create_dir(folder.path().join(".git")).expect("a folder");
        DevProject { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Runs the program and returns both streams and the exit status, normalized.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.run_with(&[], arguments)
    }

    /// Runs the program with variables set.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> String {
        #[expect(
            clippy::disallowed_methods,
            reason = "the program under test is a process"
        )]
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_af-db"));
        for name in SURROUNDINGS {
            command.env_remove(name);
        }
        if let Some(clients) = packages::clients() {
            #[expect(
                clippy::disallowed_methods,
                reason = "the program under test keeps the search path it would have"
            )]
            let path = std::env::var_os("PATH").unwrap_or_default();
            let places =
                std::iter::once(clients.directory.clone()).chain(std::env::split_paths(&path));
            command.env("PATH", std::env::join_paths(places).expect("a search path"));
        }
        let output = command
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let mut text = format!("$ af-db {}\n", arguments.join(" "));
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            text.push_str(&format!("! {line}\n"));
        }
        if let Some(code) = output.status.code().filter(|code| *code != 0) {
            text.push_str(&format!("exit {code}\n"));
        }
        self.normal(text)
    }

    /// Returns the directory of its development server.
    pub(crate) fn place(&self) -> ServerDir {
        let cache = Options::defaults().cache();
        ServerRegistry::usual(&cache).server_dir(self.path())
    }

    fn normal(&self, text: String) -> String {
        let place = self.place();
        let mut text = text
            .replace(&place.directory.display().to_string(), "SERVER")
            .replace(&self.path().display().to_string(), "PROJECT");
        if let Ok(Some(access)) = place.access() {
            text = text
                .replace(&access.password, "PASSWORD")
                .replace(&format!(":{}", access.port), ":PORT")
                .replace(&access.server, "VERSION");
        }
        text
    }
}

impl Drop for DevProject {
    fn drop(&mut self) {
        let place = self.place();
        let stopping = place.clone();
        let stop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(dev::stop(&stopping))
        };
        // A failed test has already reported its error.
        let _ = std::thread::spawn(stop).join();
        let _ = std::fs::remove_dir_all(&place.directory);
    }
}
