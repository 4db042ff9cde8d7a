//! Owns new migration files in another tool's layout, so that a folder read in place stays that tool's.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::adopt::Tool;
use crate::error::refuse;
use crate::migrate::write::Pair;

/// Writes a pair as the tool would name it; nothing is ever overwritten.
pub fn pair(
    tool: Tool,
    folder: &Path,
    (version, name): (i64, &str),
    (up, down): (&str, &str),
) -> Result<Pair> {
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
        Tool::Flyway => both(
            format!("V{version}__{name}.sql"),
            format!("U{version}__{name}.sql"),
        ),
        Tool::Goose | Tool::Dbmate | Tool::NodePgMigrate | Tool::Supabase => {
            (folder.join(format!("{padded}_{name}.sql")), None)
        }
        Tool::Alembic | Tool::GraphileMigrate | Tool::Refinery | Tool::Sqitch => {
            return Err(refuse(format!(
                "{tool} keeps more than files of its migrations; nothing was written"
            ))
            .hint(format!(
                "write the next one with {tool}, or af-db adopt --convert"
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
            write(&up_path, &format!("{begin}\n{up}\n{back}\n{down}"))?;
        }
        (None, Some(down_path)) => {
            write(&up_path, up)?;
            write(down_path, down)?;
        }
        // The Supabase CLI has no ways down.
        (None, None) => write(&up_path, up)?,
    }
    Ok(Pair {
        down: down_path.unwrap_or_else(|| up_path.clone()),
        up: up_path,
        version,
    })
}

/// Gives how many digits the numbers of a folder have.
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

fn write(path: &Path, text: &str) -> Result<()> {
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
