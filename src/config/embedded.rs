//! Owns what the surroundings say about the embedded PostgreSQL.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::config::{Ambient, Config};
use crate::pg::embedded::Options;
use crate::pg::target::Target;

impl Config {
    /// Gives the options of the embedded PostgreSQL; `major` is that of the live server, where it is known.
    pub fn embedded(&self, major: Option<u32>) -> Result<Options> {
        options(&self.ambient, major)
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
    })
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
