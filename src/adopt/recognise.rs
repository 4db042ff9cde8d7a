//! Owns telling by its files which tool a project uses, and where its migrations lie.

use std::path::Path;

use crate::adopt::Tool;

/// A folder that looks like a tool's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tool.
    pub tool: Tool,
    /// The folder, relative to the project.
    pub folder: String,
}

/// Where migrations lie by custom.
const PLACES: &[&str] = &[
    "supabase/migrations",
    "prisma/migrations",
    "db/migrations",
    "migrations",
    "database/migrations",
    "db/migration",
    "sql",
    "src/main/resources/db/migration",
    "internal/db/migrations",
];

/// Finds every folder of the project that looks like a tool's, the likeliest first.
pub fn project(root: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |tool: Tool, folder: &str| {
        places.push(Place {
            tool,
            folder: folder.to_owned(),
        });
    };
    if root.join("alembic.ini").is_file() {
        add(Tool::Alembic, ".");
    }
    if root.join("sqitch.plan").is_file() {
        add(Tool::Sqitch, ".");
    }
    for folder in PLACES {
        if root.join(folder).is_dir() {
            for tool in tools(&root.join(folder)) {
                add(tool, folder);
            }
        }
    }
    places
}

/// Says which tools would read a folder.
pub fn tools(folder: &Path) -> Vec<Tool> {
    if folder.join("alembic.ini").is_file() {
        return vec![Tool::Alembic];
    }
    if folder.join("sqitch.plan").is_file() {
        return vec![Tool::Sqitch];
    }
    if folder.join("committed").is_dir() {
        return vec![Tool::GraphileMigrate];
    }
    if folder.join("migration_lock.toml").is_file() {
        return vec![Tool::Prisma];
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        for tool in of_entry(folder, &entry) {
            if !found.contains(&tool) {
                found.push(tool);
            }
        }
    }
    found.sort_unstable();
    // Marks inside the files say more than their names.
    let marked = [Tool::Goose, Tool::Dbmate, Tool::NodePgMigrate];
    if found.iter().any(|tool| marked.contains(tool)) {
        found.retain(|tool| marked.contains(tool));
    }
    if found.contains(&Tool::GolangMigrate) {
        found.retain(|tool| matches!(tool, Tool::GolangMigrate | Tool::Sqlx));
    }
    found
}

fn of_entry(folder: &Path, entry: &std::fs::DirEntry) -> Vec<Tool> {
    let name = entry.file_name().to_string_lossy().into_owned();
    let numbered = name.starts_with(|first: char| first.is_ascii_digit());
    let path = entry.path();
    if path.is_dir() {
        return match () {
            () if path.join("migration.sql").is_file() => vec![Tool::Prisma],
            () if numbered && path.join("up.sql").is_file() => vec![Tool::Diesel],
            () => Vec::new(),
        };
    }
    let Some(stem) = name.strip_suffix(".sql") else {
        return Vec::new();
    };
    if !numbered {
        let bare = stem.trim_end_matches(".down");
        let versioned = stem.starts_with(['V', 'U']) && stem.contains("__");
        return match () {
            () if versioned && bare[1..].starts_with(|next: char| next.is_ascii_digit()) => {
                vec![Tool::Refinery, Tool::Flyway]
            }
            () if stem.starts_with("R__") => vec![Tool::Flyway],
            () => Vec::new(),
        };
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let says = |mark: &str| {
        text.lines()
            .any(|line| line.to_lowercase().replace(' ', "").starts_with(mark))
    };
    match () {
        () if says("--+goose") => vec![Tool::Goose],
        () if says("--migrate:up") => vec![Tool::Dbmate],
        () if says("--upmigration") => vec![Tool::NodePgMigrate],
        () if stem.ends_with(".up") || stem.ends_with(".down") => {
            vec![Tool::GolangMigrate, Tool::Sqlx]
        }
        () if folder
            .parent()
            .is_some_and(|above| above.join("config.toml").is_file())
            || folder.ends_with("supabase/migrations") =>
        {
            vec![Tool::Supabase]
        }
        () => vec![Tool::Sqlx, Tool::Supabase],
    }
}
