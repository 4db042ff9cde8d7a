//! Owns what the surroundings say about the embedded PostgreSQL.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::config::{Ambient, Config};
use crate::error::{fail, refuse};
use crate::pg::dev::Register;
use crate::pg::embedded::Options;
use crate::pg::embedded::sandbox::Allowed;
use crate::pg::target::Target;
use crate::sql::outward::Reach;

impl Config {
    /// Gives the options of the embedded PostgreSQL; `major` is that of the live server, where it is known.
    pub fn embedded(&self, major: Option<u32>) -> Result<Options> {
        let options = options(&self.ambient, major)?;
        if let Some(lent) = &options.shadow_server
            && let Some(name) = self.protected_server(lent)
        {
            return Err(refuse(format!(
                "AF_DB_SHADOW_URL names the server of the protected environment `{name}`"
            ))
            .hint("unset it, or name a server that nobody depends on")
            .into());
        }
        Ok(options)
    }

    /// Names the protected environment that one of a server's databases is.
    fn protected_server(&self, server: &Target) -> Option<&str> {
        let protected = self.file.environments.iter().filter(|(_, it)| it.protected);
        let mut addresses = protected.flat_map(|(name, rules)| {
            let urls = [&rules.url, &rules.direct_url];
            urls.into_iter().flatten().map(move |url| (name, url))
        });
        let found = addresses.find(|(_, url)| {
            let target = self.ambient.expand(url).ok();
            target
                .and_then(|url| self.ambient.target(&url).ok())
                .is_some_and(|target| {
                    let beside = server.with_database(target.database());
                    target.is_same_database_as(&beside)
                })
        });
        found.map(|(name, _)| name.as_str())
    }
}

impl Config {
    /// Gives where the development servers of this machine are listed.
    pub fn development_servers(&self) -> Register {
        if let Some(folder) = self.ambient.get("AF_DB_STATE_DIR") {
            return Register::at(PathBuf::from(folder));
        }
        let mut options = Options::unsaid();
        options.cache_dir = cache(&self.ambient);
        Register::usual(&options.cache())
    }
}

fn options(ambient: &Ambient, major: Option<u32>) -> Result<Options> {
    let shadow_server = match ambient.get("AF_DB_SHADOW_URL") {
        Some(url) => Some(Target::parse(url).context("reading AF_DB_SHADOW_URL")?),
        None => None,
    };
    let path = ambient.get("PATH").unwrap_or_default();
    Ok(Options {
        binaries: ambient.get("AF_DB_PG_BIN").map(PathBuf::from),
        major,
        allow_major_mismatch: is_on(ambient, "AF_DB_ALLOW_MAJOR_MISMATCH"),
        shadow_server,
        path: std::env::split_paths(path).collect(),
        cache_dir: cache(ambient),
        scratch_dir: ambient.get("AF_DB_SCRATCH_DIR").map(PathBuf::from),
        temp_dir: ambient.get("TMPDIR").map(PathBuf::from),
        user: ambient.get("AF_DB_PG_USER").map(str::to_owned),
        offline: is_on(ambient, "AF_DB_OFFLINE"),
        mirror: ambient.get("AF_DB_PG_MIRROR").map(str::to_owned),
        locks: None,
        allowed: allowed(ambient)?,
    })
}

/// Reads which rules of the shadow database the operator lifts.
fn allowed(ambient: &Ambient) -> Result<Allowed> {
    let words = ambient.get("AF_DB_SHADOW_ALLOW").unwrap_or_default();
    let words = words
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let reach = |word: &str| -> Result<Reach> {
        let known = Reach::ALL.into_iter().find(|reach| reach.word() == word);
        let unknown = || {
            fail(format!("AF_DB_SHADOW_ALLOW does not know `{word}`"))
                .hint("give any of: programs, network, files")
        };
        Ok(known.ok_or_else(unknown)?)
    };
    words.map(reach).collect()
}

/// Root's home is closed to the server's user, so root's cache lies elsewhere unless one is named.
fn cache(ambient: &Ambient) -> Option<PathBuf> {
    if crate::pg::embedded::privileges::is_root() {
        return ambient.get("AF_DB_CACHE_DIR").map(PathBuf::from);
    }
    ambient.cache()
}

fn is_on(ambient: &Ambient, name: &str) -> bool {
    ambient
        .get(name)
        .is_some_and(|value| !matches!(value, "" | "0" | "false" | "no"))
}
