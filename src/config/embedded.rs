//! The options of the embedded PostgreSQL from configuration and environment.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::config::{Config, ProcessEnvironment};
use crate::error::{fail, refuse};
use crate::pg::dev::ServerRegistry;
use crate::pg::embedded::Options;
use crate::pg::embedded::sandbox::AllowedAccess;
use crate::pg::target::Target;
use crate::sql::external_access::ExternalAccess;

impl Config {
    /// `major` is the version of the live server, if known.
    pub fn embedded(&self, major: Option<u32>) -> Result<Options> {
        let options = options(&self.env, major)?;
        if let Some(lent) = &options.shadow_server
            && let Some(name) = self.protected_server(lent)
        {
            return Err(refuse(format!(
                "AF_DB_SHADOW_URL is the server of the protected environment `{name}`"
            ))
            .hint("unset AF_DB_SHADOW_URL, or set it to a server without important data")
            .into());
        }
        Ok(options)
    }

    /// Returns the protected environment that has a database on the server.
    fn protected_server(&self, server: &Target) -> Option<&str> {
        let protected = self.file.environments.iter().filter(|(_, it)| it.protected);
        let mut addresses = protected.flat_map(|(name, rules)| {
            let urls = [&rules.url, &rules.direct_url];
            urls.into_iter().flatten().map(move |url| (name, url))
        });
        let found = addresses.find(|(_, url)| {
            let target = self.env.expand(url).ok();
            target
                .and_then(|url| self.env.target(&url).ok())
                .is_some_and(|target| {
                    let beside = server.with_database(target.database());
                    target.is_same_database_as(&beside)
                })
        });
        found.map(|(name, _)| name.as_str())
    }
}

impl Config {
    /// Returns the registry of this machine's development servers.
    pub fn development_servers(&self) -> ServerRegistry {
        if let Some(folder) = self.env.get("AF_DB_STATE_DIR") {
            return ServerRegistry::at(PathBuf::from(folder));
        }
        let mut options = Options::defaults();
        options.cache_dir = cache(&self.env);
        ServerRegistry::usual(&options.cache())
    }
}

fn options(env: &ProcessEnvironment, major: Option<u32>) -> Result<Options> {
    let shadow_server = match env.get("AF_DB_SHADOW_URL") {
        Some(url) => Some(Target::parse(url).context("reading AF_DB_SHADOW_URL")?),
        None => None,
    };
    let path = env.get("PATH").unwrap_or_default();
    Ok(Options {
        binaries: env.get("AF_DB_PG_BIN").map(PathBuf::from),
        major,
        allow_major_mismatch: is_on(env, "AF_DB_ALLOW_MAJOR_MISMATCH"),
        shadow_server,
        path: std::env::split_paths(path).collect(),
        cache_dir: cache(env),
        scratch_dir: env.get("AF_DB_SCRATCH_DIR").map(PathBuf::from),
        temp_dir: env.get("TMPDIR").map(PathBuf::from),
        user: env.get("AF_DB_PG_USER").map(str::to_owned),
        offline: is_on(env, "AF_DB_OFFLINE"),
        mirror: env.get("AF_DB_PG_MIRROR").map(str::to_owned),
        locks: None,
        allowed: allowed(env)?,
    })
}

/// Parses the sandbox rules lifted by the operator.
fn allowed(env: &ProcessEnvironment) -> Result<AllowedAccess> {
    let words = env.get("AF_DB_SHADOW_ALLOW").unwrap_or_default();
    let words = words
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let reach = |word: &str| -> Result<ExternalAccess> {
        let known = ExternalAccess::ALL
            .into_iter()
            .find(|reach| reach.word() == word);
        let unknown = || {
            fail(format!(
                "AF_DB_SHADOW_ALLOW contains the unknown value `{word}`"
            ))
            .hint("use any of: programs, network, files")
        };
        Ok(known.ok_or_else(unknown)?)
    };
    words.map(reach).collect()
}

/// Root's home is not accessible to the server's user, so root's cache is elsewhere unless configured.
fn cache(env: &ProcessEnvironment) -> Option<PathBuf> {
    if crate::pg::embedded::privileges::is_root() {
        return env.get("AF_DB_CACHE_DIR").map(PathBuf::from);
    }
    env.cache()
}

fn is_on(env: &ProcessEnvironment, name: &str) -> bool {
    env.get(name)
        .is_some_and(|value| !matches!(value, "" | "0" | "false" | "no"))
}
