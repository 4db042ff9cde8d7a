//! Creates new migration files with the next version in the folder's numbering style.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::error::fail;
use crate::migrate::file_name;
use crate::migrate::files::Migration;

/// A pair of files that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationPair {
    /// The up migration.
    pub up: PathBuf,
    /// The down migration.
    pub down: PathBuf,
    /// The number.
    pub version: i64,
}

/// Returns the number of the next migration: the folder counts on, or takes the time if it does.
///
/// `now` is the time in UTC as `20260401120000`.
pub fn next_version(migrations: &[Migration], now: i64) -> i64 {
    // A timestamp has at least eight digits; sequential versions never reach that.
    const STAMP: i64 = 19_700_101;
    match migrations.last().map(|migration| migration.version) {
        None => 1,
        Some(last) if last < STAMP => last + 1,
        Some(last) => {
            let digits = u32::try_from(last.to_string().len()).unwrap_or(14).min(14);
            (now / 10_i64.pow(14 - digits)).max(last + 1)
        }
    }
}

/// Turns what a person calls it into what a file is called: `Add tenant` into `add_tenant`.
pub fn file_name(name: &str) -> Result<String> {
    let cleaned = file_name::clean(&name.to_lowercase());
    if cleaned.is_empty() {
        return Err(fail(format!("`{name}` is not a valid migration name"))
            .hint("describe the change, for example add_tenant")
            .into());
    }
    Ok(cleaned)
}

/// Writes a pair of files; nothing is ever overwritten.
pub fn pair(
    folder: &Path,
    version: i64,
    name: &str,
    up: &str,
    down: &str,
) -> Result<MigrationPair> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("creating the folder {}", folder.display()))?;
    let pair = MigrationPair {
        up: folder.join(format!("V{version}__{name}.sql")),
        down: folder.join(format!("V{version}__{name}.down.sql")),
        version,
    };
    write_new(&pair.up, up)?;
    write_new(&pair.down, down)?;
    Ok(pair)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    let mut file = file.with_context(|| format!("writing {}", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("writing {}", path.display()))
}

/// Returns what an empty pair says.
pub fn blank(name: &str) -> (String, String) {
    let title = name.replace('_', " ");
    let up = format!(
        "-- {title}\n--\n-- Runs in one transaction. For CREATE INDEX CONCURRENTLY and similar, begin the file with\n-- af-db's directive no-transaction.\n\n"
    );
    let down = format!(
        "-- reverts: {title}\n--\n-- Must restore the previous schema: af-db down tests it on a shadow database first.\n\n"
    );
    (up, down)
}

/// Moves a migration, with its down migration, to another number.
pub fn renumber(migration: &Migration, version: i64) -> Result<MigrationPair> {
    let moved = |path: &Path, ending: &str| {
        path.with_file_name(format!(
            "{}{version}__{}{ending}",
            migration.prefix, migration.name
        ))
    };
    let pair = MigrationPair {
        up: moved(&migration.up.path, ".sql"),
        down: moved(&migration.up.path, ".down.sql"),
        version,
    };
    let from = &migration.up.path;
    std::fs::rename(from, &pair.up).with_context(|| format!("renaming {}", from.display()))?;
    if let Some(down) = &migration.down {
        std::fs::rename(&down.path, &pair.down)
            .with_context(|| format!("renaming {}", down.path.display()))?;
    }
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::files::MigrationFile;

    fn migration(version: i64) -> Migration {
        let up = MigrationFile {
            shown: String::new(),
            path: PathBuf::new(),
            text: "".into(),
        };
        Migration {
            version,
            name: "x".to_owned(),
            prefix: 'V',
            up,
            down: None,
            directives: Default::default(),
            down_directives: Default::default(),
        }
    }

    #[test]
    fn numbers_continue_the_folders_style() {
        let now = 20_261_121_050_607;
        let check = |last: Option<i64>, expected: i64| {
            let migrations: Vec<Migration> = last.into_iter().map(migration).collect();
            assert_eq!(next_version(&migrations, now), expected);
        };
        check(None, 1);
        check(Some(41), 42);
        check(Some(20_260_401_120_000), now);
        check(Some(20_260_401), 20_261_121);
        check(Some(20_261_121), 20_261_122);
        check(Some(99_990_101_000_000), 99_990_101_000_001);
    }

    #[test]
    fn names_become_file_names() {
        assert_eq!(file_name("Add tenant-ID").unwrap(), "add_tenant_id");
        assert!(file_name(" -- ").is_err());
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        pair(folder.path(), 1, "a", "up", "down").unwrap();
        assert!(pair(folder.path(), 1, "a", "other", "other").is_err());
        assert_eq!(
            std::fs::read_to_string(folder.path().join("V1__a.sql")).unwrap(),
            "up"
        );
    }
}
