//! New migration files in another tool's layout.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::adopt::Tool;
use crate::adopt::tools::flyway;
use crate::error::refuse;
use crate::migrate::files::Migration;
use crate::migrate::new_migration::{self, MigrationPair};

/// Writes an up and a down migration with the tool's file names; existing files are never overwritten.
pub fn pair(
    tool: Tool,
    folder: &Path,
    version: i64,
    name: &str,
    up: &str,
    down: &str,
) -> Result<MigrationPair> {
    let width = width(folder);
    let padded = format!("{version:0width$}");
    let both =
        |up_file: String, down_file: String| (folder.join(up_file), Some(folder.join(down_file)));
    let (up_path, down_path) = match tool {
        Tool::GolangMigrate | Tool::Sqlx => both(
            format!("{padded}_{name}.up.sql"),
            format!("{padded}_{name}.down.sql"),
        ),
        Tool::Diesel => both(
            format!("{padded}_{name}/up.sql"),
            format!("{padded}_{name}/down.sql"),
        ),
        Tool::Prisma => both(
            format!("{padded}_{name}/migration.sql"),
            format!("{padded}_{name}/down.sql"),
        ),
        Tool::Flyway => {
            let shown = flyway::shown(folder, version);
            both(
                format!("V{shown}__{name}.sql"),
                format!("U{shown}__{name}.sql"),
            )
        }
        Tool::Goose | Tool::Dbmate | Tool::NodePgMigrate | Tool::Supabase => {
            (folder.join(format!("{padded}_{name}.sql")), None)
        }
        Tool::Alembic | Tool::GraphileMigrate | Tool::Refinery | Tool::Sqitch => {
            return Err(refuse(format!(
                "{tool} migrations are more than SQL files; nothing was written"
            ))
            .hint(format!(
                "create the next migration with {tool}, or convert the folder: af-db adopt --convert"
            ))
            .into());
        }
    };
    let marks = match tool {
        Tool::Goose => Some(("-- +goose Up", "-- +goose Down")),
        Tool::Dbmate => Some(("-- migrate:up", "-- migrate:down")),
        Tool::NodePgMigrate => Some(("-- Up Migration", "-- Down Migration")),
        _ => None,
    };
    match (marks, &down_path) {
        (Some((begin, back)), _) => {
            put(&up_path, &format!("{begin}\n{up}\n{back}\n{down}"))?;
        }
        (None, Some(down_path)) => {
            put(&up_path, up)?;
            put(down_path, down)?;
        }
        // The Supabase CLI has no down migrations.
        (None, None) => put(&up_path, up)?,
    }
    Ok(MigrationPair {
        down: down_path.unwrap_or_else(|| up_path.clone()),
        up: up_path,
        version,
    })
}

/// The current time, in the forms that tools use as versions.
#[derive(Clone, Copy)]
pub struct Now {
    /// UTC, as `20260401120000`.
    pub timestamp: i64,
    /// Milliseconds since 1970.
    pub epoch_millis: i64,
}

/// Returns the version of the next migration as the tool would number it.
pub fn next(tool: Tool, folder: &Path, migrations: &[Migration], now: Now) -> i64 {
    let last = migrations.last().map_or(0, |migration| migration.version);
    match tool {
        Tool::Flyway if flyway::is_dotted(folder) => flyway::after(last),
        Tool::NodePgMigrate => now.epoch_millis.max(last + 1),
        Tool::Dbmate | Tool::Diesel | Tool::Prisma | Tool::Supabase if last == 0 => now.timestamp,
        _ => new_migration::next_version(migrations, now.timestamp),
    }
}

/// Returns the number of digits of the versions in a folder.
fn width(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let digits = names.map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.len()
            - name
                .trim_start_matches(|digit: char| digit.is_ascii_digit())
                .len()
    });
    digits.max().unwrap_or(0)
}

fn put(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let doing = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(doing)?;
    }
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(doing)
}
