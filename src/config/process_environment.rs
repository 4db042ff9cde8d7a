//! Owns what the process finds around itself: environment variables and the project's `.env`.
//!
//! A variable that is set wins over the same name in `.env`; an empty one counts as not set.
//!
//! A `.env` may come with a project that was only cloned. It says where the project's databases and backups are, and
//! nothing about this machine: which programs run, which folders and files are read or written, and who is working. What
//! `af-db.yaml` names as `${NAME}` may stand in it under any name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::backup::store;
use crate::disk;
use crate::error::fail;
use crate::pg::target::{self, Target};

/// The environment and the project's `.env`.
#[derive(Clone, Default)]
pub struct ProcessEnvironment {
    variables: BTreeMap<String, String>,
    /// The same with every line of `.env`, for what `af-db.yaml` names itself.
    named: BTreeMap<String, String>,
    ignored: Vec<String>,
}

/// What a project's `.env` may decide: where its databases and its backup store are, and who it is there.
///
/// Endpoints are among them only where requests are signed: elsewhere they would be sent the user's own tokens.
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

/// What else is read by us or by the programs we start; that `.env` does not decide it is worth a word.
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

/// Returns whether a line of `.env` counts; what is about encryption may ask for more safety, never for less.
fn may_come_from_dotenv(name: &str, value: &str) -> bool {
    match name {
        "PGSSLMODE" => matches!(value, "require" | "verify-ca" | "verify-full"),
        "PGCHANNELBINDING" => value == "require",
        name => FROM_DOTENV.contains(&name),
    }
}

/// Returns whether somebody who reads the environment would have read this.
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
    /// Reads the environment and, beneath it, `.env` of the project.
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
        // Who has set it has decided; what the file says is then of no interest.
        ignored.retain(|name| variables.get(name).is_none_or(String::is_empty));
        Ok(ProcessEnvironment {
            variables,
            named,
            ignored,
        })
    }

    /// Returns the variables that `.env` sets and only the environment itself may set.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Returns every variable, for those who know which of them are theirs.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Returns what `${NAME}` stands for in `af-db.yaml`.
    fn named(&self, name: &str) -> Option<&str> {
        let value = self.named.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Returns a variable that is set to something.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Replaces each `${NAME}`; a missing one is named.
    pub fn expand(&self, text: &str) -> Result<String> {
        replace(text, |name| match self.named(name) {
            Some(value) => Ok(value.to_owned()),
            None => Err(fail(format!("the environment variable {name} is not set"))
                .hint(format!("set {name} in the environment or in .env"))
                .into()),
        })
    }

    /// Replaces each `${NAME}`, and those that are not set by a stand-in; names these.
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

    /// Builds an address from `POSTGRES_USER`, `_PASSWORD`, `_HOST`, `_PORT` and `_DB`, when a host or a database is said.
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

    /// Reads an address, with what libpq would add from its own variables and files.
    pub fn target(&self, address: &str) -> Result<Target> {
        let mut defaults: Vec<(&str, String)> = target::ENVIRONMENT
            .iter()
            .filter_map(|(variable, keyword)| Some((*keyword, self.get(variable)?.to_owned())))
            .collect();
        // Beneath the variables: the first of two values for a keyword counts.
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

    /// Returns the certificates that libpq would use because they lie where it looks.
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

    /// Reads the password file; as with libpq, one that others can read does not count.
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

    /// Returns the home folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.get("HOME")
            .or_else(|| self.get("USERPROFILE"))
            .map(PathBuf::from)
    }

    /// Returns the folder for what can be made again: `AF_DB_CACHE_DIR`, else the user's cache.
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

    /// Names the machine, for the journal.
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

    /// Names who asks for a plan: the person a CI works for, else the operating system's user.
    pub fn author(&self) -> String {
        self.first(&CI)
            .or_else(|| self.user())
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// Names who runs this, for the journal: the operating system's user, and the person a CI works for.
    pub fn actor(&self) -> String {
        match (self.user(), self.first(&CI)) {
            (Some(user), Some(ci)) => format!("{user} ({ci})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "unknown".to_owned(),
        }
    }

    /// Names the operating system's user; containers and timers often set no variable for it.
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

/// Replaces each `${NAME}`.
fn replace(text: &str, mut value: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        replaced.push_str(&rest[..start]);
        let Some(length) = rest[start..].find('}') else {
            return Err(fail("a `${` is not closed").hint("write `${NAME}`").into());
        };
        replaced.push_str(&value(&rest[start + 2..start + length])?);
        rest = &rest[start + length + 1..];
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// Where CI services say for whom they work.
const CI: [&str; 3] = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_REQUESTEDFOR"];

/// Names the account this runs as.
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

/// Names the account this runs as, where only variables say it.
#[cfg(not(unix))]
fn account() -> Option<String> {
    None
}

/// Reads `NAME=value` lines: `export`, quotes and comments as shells and other tools take them.
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
    fn dotenv_is_read_as_shells_do() {
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
    fn a_projects_file_decides_nothing_about_this_machine() {
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
    fn a_projects_file_says_what_af_db_yaml_names_and_no_more() {
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
    fn variables_expand_and_a_missing_one_is_named() {
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
    fn who_runs_this_is_named() {
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
    fn parts_become_an_address() {
        assert_eq!(env(&[("POSTGRES_USER", "u")]).postgres_parts(), None);
        let parts = env(&[("POSTGRES_DB", "d"), ("POSTGRES_PASSWORD", "it's")]).postgres_parts();
        assert_eq!(
            parts.as_deref(),
            Some("host='localhost' user='postgres' password='it\\'s' dbname='d'")
        );
    }

    #[cfg(unix)]
    #[test]
    fn libpq_variables_and_files_fill_what_an_address_leaves_out() {
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
