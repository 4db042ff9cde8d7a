//! Environment variables and the project's `.env`.
//!
//! A set variable overrides the same name in `.env`; an empty one counts as not set.
//!
//! A `.env` may come with a project that was only cloned. It configures the project's databases and backups, and nothing
//! about this machine: which programs run, which folders and files are read or written, and who is working. What
//! `af-db.yaml` uses as `${NAME}` may be set in it under any name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::backup::store;
use crate::disk;
use crate::error::fail;
use crate::pg::target::{self, Target};

#[derive(Clone, Default)]
pub struct ProcessEnvironment {
    variables: BTreeMap<String, String>,
    /// The same with every line of `.env`, for the variables used in `af-db.yaml`.
    named: BTreeMap<String, String>,
    ignored: Vec<String>,
}

/// What a project's `.env` may set: its databases, its backup store, and the credentials for them.
///
/// Endpoints are included only where requests are signed: others would receive the user's own tokens.
const FROM_DOTENV: [&str; 43] = [
    "DATABASE_URL",
    "DIRECT_URL",
    "SUPABASE_DB_URL",
    "POSTGRES_DB",
    "POSTGRES_HOST",
    "POSTGRES_PASSWORD",
    "POSTGRES_PORT",
    "POSTGRES_USER",
    "PGAPPNAME",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGHOST",
    "PGPASSWORD",
    "PGPORT",
    "PGSSLCERTMODE",
    "PGSSLNEGOTIATION",
    "PGTARGETSESSIONATTRS",
    "PGUSER",
    "AF_DB_ALLOW_MAJOR_MISMATCH",
    "AF_DB_ENV",
    "AF_DB_OFFLINE",
    "AWS_ACCESS_KEY_ID",
    "AWS_BUCKET",
    "AWS_BUCKET_NAME",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CONTAINER_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_TENANT_ID",
    "GOOGLE_BUCKET",
    "GOOGLE_BUCKET_NAME",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
];

/// Other variables read by af-db or by the programs it starts; setting them in `.env` causes a warning.
const NOT_FROM_DOTENV: [&str; 24] = [
    "APPDATA",
    "BUILD_REQUESTEDFOR",
    "COMPUTERNAME",
    "COMSPEC",
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "HOME",
    "HOSTNAME",
    "LOCALAPPDATA",
    "LOGNAME",
    "PATH",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "STORAGE_EMULATOR_HOST",
    "SUDO_USER",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "USER",
    "USERNAME",
    "USERPROFILE",
    "AZURE_FEDERATED_TOKEN_FILE",
];

/// Returns whether a line of `.env` is used; encryption may only be made stricter.
fn may_come_from_dotenv(name: &str, value: &str) -> bool {
    match name {
        "PGSSLMODE" => matches!(value, "require" | "verify-ca" | "verify-full"),
        "PGCHANNELBINDING" => value == "require",
        name => FROM_DOTENV.contains(&name),
    }
}

/// Returns whether the variable would have an effect in the environment.
fn would_be_read(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let families = ["AF_DB_", "LD_", "DYLD_", "XDG_", "PGSSL"];
    let connects = target::ENVIRONMENT.iter().any(|(known, _)| *known == name);
    let files = ["PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR"];
    connects
        || files.contains(&name.as_str())
        || NOT_FROM_DOTENV.contains(&name.as_str())
        || families.iter().any(|family| name.starts_with(family))
        || store::is_setting(&name)
}

impl std::fmt::Debug for ProcessEnvironment {
    /// Shows names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl ProcessEnvironment {
    /// Reads the environment and the project's `.env`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut named = BTreeMap::new();
        let path = root.join(".env");
        if path.is_file() {
            let text = disk::read_text(&path, ".env")?;
            named = parse_dotenv(&text)?;
        }
        let mut variables = named.clone();
        let mut ignored = Vec::new();
        variables.retain(|name, value| {
            let counts = may_come_from_dotenv(name, value);
            if !counts && !value.is_empty() && would_be_read(name) {
                ignored.push(name.clone());
            }
            counts
        });
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the environment"
        )]
        let surroundings = std::env::vars_os();
        for (name, value) in surroundings {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                named.insert(name.clone(), value.clone());
                variables.insert(name, value);
            }
        }
        // The variable is set in the environment, which takes precedence.
        ignored.retain(|name| variables.get(name).is_none_or(String::is_empty));
        Ok(ProcessEnvironment {
            variables,
            named,
            ignored,
        })
    }

    /// Returns the variables in `.env` that only the environment itself may set.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Returns all variables.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Returns the value of `${NAME}` in `af-db.yaml`.
    fn named(&self, name: &str) -> Option<&str> {
        let value = self.named.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Returns a non-empty variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Expands each `${NAME}`; a missing one is an error.
    pub fn expand(&self, text: &str) -> Result<String> {
        replace(text, |name| match self.named(name) {
            Some(value) => Ok(value.to_owned()),
            None => Err(fail(format!("the environment variable {name} is not set"))
                .hint(format!("set {name} in the environment or in .env"))
                .into()),
        })
    }

    /// Expands each `${NAME}`, missing ones to `stand_in`; returns the names of these.
    pub(super) fn expand_with(&self, text: &str, stand_in: &str) -> Result<(String, Vec<String>)> {
        let mut unset = Vec::new();
        let text = replace(text, |name| {
            Ok(match self.named(name) {
                Some(value) => value.to_owned(),
                None => {
                    unset.push(name.to_owned());
                    stand_in.to_owned()
                }
            })
        })?;
        Ok((text, unset))
    }

    /// Builds a connection string from `POSTGRES_USER`, `_PASSWORD`, `_HOST`, `_PORT` and `_DB`, if host or database is set.
    pub fn postgres_parts(&self) -> Option<String> {
        let host = self.get("POSTGRES_HOST");
        let database = self.get("POSTGRES_DB");
        if host.is_none() && database.is_none() {
            return None;
        }
        let mut parts = Vec::new();
        let named = [
            ("host", host.or(Some("localhost"))),
            ("port", self.get("POSTGRES_PORT")),
            ("user", self.get("POSTGRES_USER").or(Some("postgres"))),
            ("password", self.get("POSTGRES_PASSWORD")),
            ("dbname", database),
        ];
        for (key, value) in named {
            if let Some(value) = value {
                let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
                parts.push(format!("{key}='{quoted}'"));
            }
        }
        Some(parts.join(" "))
    }

    /// Parses a connection URL, completed by libpq's own variables and files.
    pub fn target(&self, address: &str) -> Result<Target> {
        let mut defaults: Vec<(&str, String)> = target::ENVIRONMENT
            .iter()
            .filter_map(|(variable, keyword)| Some((*keyword, self.get(variable)?.to_owned())))
            .collect();
        // After the variables: the first of two values for a keyword counts.
        defaults.extend(self.libpq_files());
        let defaults: Vec<(&str, &str)> = defaults
            .iter()
            .map(|(keyword, value)| (*keyword, value.as_str()))
            .collect();
        let target = Target::parse_with(address, &defaults)?;
        Ok(match self.passfile() {
            Some(text) => target.with_password_from(&text),
            None => target,
        })
    }

    /// Returns the certificates in libpq's default locations.
    fn libpq_files(&self) -> Vec<(&'static str, String)> {
        let Some(folder) = self.home().map(|home| home.join(".postgresql")) else {
            return Vec::new();
        };
        let there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut files = Vec::new();
        if let Some(root) = there("root.crt") {
            files.push(("sslrootcert", text(root)));
        }
        if let (Some(certificate), Some(key)) = (there("postgresql.crt"), there("postgresql.key")) {
            files.push(("sslcert", text(certificate)));
            files.push(("sslkey", text(key)));
        }
        files
    }

    /// Reads the password file; as in libpq, one that other users can read is ignored.
    fn passfile(&self) -> Option<String> {
        let path = match self.get("PGPASSFILE") {
            Some(path) => PathBuf::from(path),
            None => self.home()?.join(".pgpass"),
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            if std::fs::metadata(&path).ok()?.mode() & 0o077 != 0 {
                return None;
            }
        }
        std::fs::read_to_string(path).ok()
    }

    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME")
            .or_else(|| self.get("USERPROFILE"))
            .map(PathBuf::from)
    }

    /// Returns the cache folder: `AF_DB_CACHE_DIR`, else the user's cache.
    pub fn cache(&self) -> Option<PathBuf> {
        if let Some(folder) = self.get("AF_DB_CACHE_DIR") {
            return Some(PathBuf::from(folder));
        }
        if let Some(folder) = self
            .get("XDG_CACHE_HOME")
            .or_else(|| self.get("LOCALAPPDATA"))
        {
            return Some(PathBuf::from(folder).join("af-db"));
        }
        self.home().map(|home| home.join(".cache").join("af-db"))
    }

    /// Returns the host name, for the journal.
    pub fn host(&self) -> String {
        let named = self
            .get("HOSTNAME")
            .or_else(|| self.get("COMPUTERNAME"))
            .map(str::to_owned);
        let read = || {
            std::fs::read_to_string("/etc/hostname")
                .ok()
                .map(|name| name.trim().to_owned())
        };
        named.or_else(read).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Returns the author of a plan: the person a CI job runs for, else the operating system's user.
    pub fn author(&self) -> String {
        self.first(&CI)
            .or_else(|| self.user())
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// Returns the actor for the journal: the operating system's user, and the person a CI job runs for.
    pub fn actor(&self) -> String {
        match (self.user(), self.first(&CI)) {
            (Some(user), Some(ci)) => format!("{user} ({ci})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "unknown".to_owned(),
        }
    }

    /// Returns the operating system's user; containers and timers often set no variable for it.
    fn user(&self) -> Option<String> {
        self.first(&["SUDO_USER", "USER", "LOGNAME", "USERNAME"])
            .or_else(account)
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| self.get(name))
            .map(str::to_owned)
    }
}

fn replace(text: &str, mut value: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        replaced.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            return Err(fail("`${` without a closing `}`")
                .hint("write `${NAME}`")
                .into());
        };
        replaced.push_str(&value(&rest[start + 2..start + length])?);
        rest = &rest[start + length + 1..];
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// Variables in which CI services name the person a job runs for.
const CI: [&str; 3] = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_REQUESTEDFOR"];

/// Returns the name of the current account.
#[cfg(unix)]
fn account() -> Option<String> {
    let number = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == number).then(|| name.to_owned())
    });
    Some(named.unwrap_or_else(|| format!("user {number}")))
}

/// Systems on which only variables contain the name.
#[cfg(not(unix))]
fn account() -> Option<String> {
    None
}

/// Parses `NAME=value` lines with `export`, quotes and comments.
fn parse_dotenv(text: &str) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(fail(format!(".env:{}: expected NAME=value", index + 1))
                .hint("put a # before a comment")
                .into());
        };
        variables.insert(name.trim().to_owned(), unquote(value.trim()));
    }
    Ok(variables)
}

fn unquote(value: &str) -> String {
    if let Some(inner) = value
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
    {
        return inner.0.to_owned();
    }
    if let Some(rest) = value.strip_prefix('"') {
        let mut text = String::new();
        let mut characters = rest.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => match characters.next() {
                    Some('n') => text.push('\n'),
                    Some(other) => text.push(other),
                    None => break,
                },
                other => text.push(other),
            }
        }
        return text;
    }
    value
        .split(" #")
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> ProcessEnvironment {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables: BTreeMap<String, String> = variables.collect();
        ProcessEnvironment {
            named: variables.clone(),
            variables,
            ignored: Vec::new(),
        }
    }

    #[test]
    fn dotenv_is_parsed_like_a_shell_does() {
        let text = "# words\nexport A=1\nB='x # y'\nC=\"a\\\"b\\n\" # tail\nD=plain # tail\nE=\n";
        let variables = parse_dotenv(text).unwrap();
        let check = |name: &str, expected: &str| assert_eq!(variables[name], expected);
        check("A", "1");
        check("B", "x # y");
        check("C", "a\"b\n");
        check("D", "plain");
        check("E", "");
        assert_eq!(
            parse_dotenv("A=1\nwords").unwrap_err().to_string(),
            ".env:2: expected NAME=value"
        );
    }

    #[test]
    fn dotenv_cannot_configure_this_machine() {
        let check = |expected: bool, name: &str, value: &str| {
            assert_eq!(may_come_from_dotenv(name, value), expected, "{name}");
        };
        for name in NOT_FROM_DOTENV {
            check(false, name, "x");
        }
        let ignored = [
            "af_db_pg_bin",
            "AF_DB_PG_BIN",
            "AF_DB_SHADOW_ALLOW",
            "AF_DB_STATE_DIR",
            "AWS_ALLOW_HTTP",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            "AZURE_STORAGE_ENDPOINT",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "LD_PRELOAD",
            "PGHOSTADDR",
            "PGOPTIONS",
            "PGPASSFILE",
            "PGSERVICE",
            "PGSSLKEY",
            "PGSSLROOTCERT",
            "SSL_CERT_FILE",
            "XDG_STATE_HOME",
        ];
        for name in ignored {
            check(false, name, "x");
            if cfg!(feature = "object-storage") {
                assert!(would_be_read(name), "{name}");
            }
        }
        check(false, "PGSSLMODE", "disable");
        check(false, "PGCHANNELBINDING", "disable");
        check(true, "PGSSLMODE", "verify-full");
        check(true, "PGCHANNELBINDING", "require");
        for name in FROM_DOTENV {
            check(true, name, "x");
        }
        for name in ["PGADMIN_DEFAULT_EMAIL", "REACT_APP_TITLE", "AWS_S3_FOLDER"] {
            check(false, name, "x");
            assert!(!would_be_read(name), "{name} is no business of ours");
        }
    }

    #[test]
    fn dotenv_sets_the_variables_used_in_af_db_yaml() {
        let folder = tempfile::tempdir().unwrap();
        let text = "REPORTING_URL=postgres://h/d\nAF_DB_STATE_DIR=/x\nTITLE=x\n";
        std::fs::write(folder.path().join(".env"), text).unwrap();
        let env = ProcessEnvironment::read(folder.path()).unwrap();
        assert_eq!(env.expand("${REPORTING_URL}").unwrap(), "postgres://h/d");
        assert_eq!(env.get("REPORTING_URL"), None);
        assert_eq!(env.get("AF_DB_STATE_DIR"), None);
        assert_eq!(env.ignored(), ["AF_DB_STATE_DIR"]);
    }

    #[test]
    fn variables_expand_and_a_missing_one_is_reported() {
        let env = env(&[("HOST", "db"), ("EMPTY", "")]);
        assert_eq!(
            env.expand("postgres://${HOST}/x").unwrap(),
            "postgres://db/x"
        );
        assert!(
            env.expand("${EMPTY}")
                .unwrap_err()
                .to_string()
                .contains("EMPTY is not set")
        );
        assert!(env.expand("${HOST").is_err());
    }

    #[test]
    fn the_actor_is_named() {
        let ci = [("USER", "runner"), ("GITHUB_ACTOR", "ana")];
        assert_eq!(env(&ci).actor(), "runner (ana)");
        assert_eq!(env(&ci).author(), "ana");
        let by_hand = [("SUDO_USER", "ana"), ("USER", "root")];
        assert_eq!(env(&by_hand).actor(), "ana");
        assert_eq!(env(&by_hand).author(), "ana");
        #[cfg(unix)]
        assert_ne!(env(&[]).actor(), "unknown");
    }

    #[test]
    fn postgres_variables_become_a_connection_string() {
        assert_eq!(env(&[("POSTGRES_USER", "u")]).postgres_parts(), None);
        let parts = env(&[("POSTGRES_DB", "d"), ("POSTGRES_PASSWORD", "it's")]).postgres_parts();
        assert_eq!(
            parts.as_deref(),
            Some("host='localhost' user='postgres' password='it\\'s' dbname='d'")
        );
    }

    #[cfg(unix)]
    #[test]
    fn libpq_variables_and_files_complete_a_connection_url() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.to_string_lossy().into_owned()
        };
        let root = write(".postgresql/root.crt", "", 0o644);
        write(".pgpass", "h:5432:d:u:from-file", 0o600);
        let open = write("open", "*:*:*:*:not-this", 0o644);
        let folder = home.path().to_string_lossy().into_owned();
        let password = |env: &ProcessEnvironment, address: &str| {
            let target = env.target(address).unwrap();
            target
                .password(&target.hosts[0])
                .map(|secret| secret.reveal().to_owned())
        };

        let set = env(&[
            ("HOME", &folder),
            ("PGSSLMODE", "verify-full"),
            ("PGUSER", "u"),
        ]);
        let target = set.target("postgres://h/d").unwrap();
        assert_eq!(target.to_string(), "u@h:5432/d");
        assert_eq!(target.tls.mode, target::SslMode::VerifyFull);
        assert_eq!(target.tls.roots, Some(target::Roots::File(root.into())));
        assert_eq!(
            password(&set, "postgres://h/d").as_deref(),
            Some("from-file")
        );
        assert_eq!(
            password(&set, "postgres://u:own@h/d").as_deref(),
            Some("own")
        );
        assert_eq!(password(&set, "postgres://elsewhere/d"), None);
        let given = set.target("postgres://h/d?sslmode=disable").unwrap();
        assert_eq!(given.tls.mode, target::SslMode::Disable);

        let set = env(&[("PGPASSFILE", &open), ("PGSSLROOTCERT", "/own.crt")]);
        assert_eq!(password(&set, "postgres://u@h/d"), None);
        let roots = set.target("postgres://u@h/d").unwrap().tls.roots;
        assert_eq!(roots, Some(target::Roots::File("/own.crt".into())));
    }
}
