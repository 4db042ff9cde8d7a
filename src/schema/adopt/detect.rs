//! Detects which tool a project uses, and its migration folder.

use std::path::Path;

use crate::adopt::Tool;
use crate::disk;

/// A folder that looks like that of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectedFolder {
    pub tool: Tool,
    /// The folder, relative to the project.
    pub folder: String,
}

/// The usual folders.
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

/// Finds all migration folders of the project, the most likely first.
pub fn project(root: &Path) -> Vec<DetectedFolder> {
    let of = |folder: &str| {
        let found = tools(&root.join(folder)).into_iter();
        let place = found.map(|tool| DetectedFolder {
            tool,
            folder: folder.to_owned(),
        });
        place.collect::<Vec<_>>()
    };
    let mut places = of(".");
    places.retain(|place| matches!(place.tool, Tool::Alembic | Tool::Sqitch));
    places.extend(PLACES.iter().flat_map(|folder| of(folder)));
    if places.is_empty() {
        places.extend(elsewhere(root).iter().flat_map(|folder| of(folder)));
    }
    places
}

/// Looks for folders named after migrations and their direct children, which a large repository has deep within.
fn elsewhere(root: &Path) -> Vec<String> {
    /// Limits of the search, for huge trees.
    const DEPTH: usize = 8;
    const FOLDERS: usize = 20_000;
    const OTHERS: [&str; 4] = ["node_modules", "target", "vendor", "dist"];
    let is_called = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name == "migrations" || name == "migration"
    };
    let mut found = Vec::new();
    let mut left = std::collections::VecDeque::from([(root.to_path_buf(), 0)]);
    let mut seen = 0;
    while let Some((folder, depth)) = left.pop_front() {
        seen += 1;
        if is_called(&folder) || folder.parent().is_some_and(is_called) {
            found.push(folder.clone());
        }
        if depth == DEPTH || seen > FOLDERS {
            continue;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !name.starts_with('.') && !OTHERS.contains(&name.as_str()) {
                left.push_back((entry.path(), depth + 1));
            }
        }
    }
    let relative = |path: &std::path::PathBuf| {
        let path = path.strip_prefix(root).unwrap_or(path);
        path.to_string_lossy().into_owned()
    };
    let mut found: Vec<String> = found.iter().map(relative).collect();
    found.sort();
    found
}

/// Returns the tools whose layout a folder has.
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
    // Markers in the files are more reliable than their names.
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
    let text = disk::read_text(&path, &name).unwrap_or_default();
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
