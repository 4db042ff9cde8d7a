//! Converts a tool's migrations to the layout of af-db, with a table of old and new names.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::adopt::tool_folder::{ToolFolder, ToolMigration};
use crate::migrate::checksum;
use crate::migrate::directive;
use crate::migrate::files::MigrationFile;

/// The file that holds the table of names.
pub const TABLE: &str = "adopted.json";

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The name in the layout of af-db.
    pub name: String,
    pub text: String,
}

/// One entry of the name table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NameMapping {
    /// The tool's name of the migration.
    pub key: String,
    /// The tool's file.
    pub old: String,
    /// The converted file.
    pub new: String,
    /// The tool's checksum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// The SHA-256 of the converted file.
    pub sha256: String,
}

/// The files of a conversion, and the resulting migrations.
#[derive(Clone, Debug, Default)]
pub struct Converted {
    /// The files.
    pub copies: Vec<Copy>,
    pub table: Vec<NameMapping>,
    pub entries: Vec<ToolMigration>,
}

/// Converts a folder to the layout of af-db; repeatable migrations become versioned ones with their current text.
pub fn convert(listed: &ToolFolder, folder: &Path, shown: &str) -> Converted {
    let mut converted = Converted::default();
    for entry in listed.entries.iter().chain(&listed.repeatables) {
        let migration = &entry.migration;
        let stem = format!("V{}__{}", migration.version, migration.name);
        let mut new = entry.clone();
        let place = |name: &str, text: String| MigrationFile {
            shown: format!("{shown}/{name}"),
            path: folder.join(name),
            text: text.into(),
        };
        let name = format!("{stem}.sql");
        let text = headed(&migration.up.text, migration.directives.no_transaction);
        converted.copies.push(Copy {
            name: name.clone(),
            text: text.clone(),
        });
        converted.table.push(NameMapping {
            key: entry.key.clone(),
            old: migration.up.shown.clone(),
            new: name.clone(),
            checksum: entry.proof.clone(),
            sha256: checksum::sha256(&text),
        });
        new.migration.up = place(&name, text);
        if let Some(down) = &migration.down {
            let name = format!("{stem}.down.sql");
            let text = headed(
                down.text.trim_start_matches(['\n', '\r']),
                migration.down_directives.no_transaction,
            );
            converted.copies.push(Copy {
                name: name.clone(),
                text: text.clone(),
            });
            new.migration.down = Some(place(&name, text));
        }
        converted.entries.push(new);
    }
    converted
}

/// Adds the `no-transaction` directive where needed; the rest stays byte for byte.
fn headed(text: &str, no_transaction: bool) -> String {
    let said = directive::read("", text, &mut Vec::new()).no_transaction;
    if no_transaction && !said {
        return format!("-- af-db: no-transaction\n{text}");
    }
    text.to_owned()
}

/// Writes the files and the table; existing files are not overwritten.
pub fn write(converted: &Converted, folder: &Path) -> Result<Vec<PathBuf>> {
    use std::io::Write as _;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut table = serde_json::to_string_pretty(&converted.table).context("the table of names")?;
    table.push('\n');
    let files = converted
        .copies
        .iter()
        .map(|copy| (copy.name.as_str(), copy.text.as_str()))
        .chain([(TABLE, table.as_str())]);
    let mut written = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}
