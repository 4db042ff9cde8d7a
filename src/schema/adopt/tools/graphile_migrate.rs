//! Graphile-migrate's folder: `committed/000001-name.sql`, each naming the hash of itself and of the one before.
//!
//! `current.sql` is work in progress, not a migration.

use std::path::Path;

use anyhow::Result;

use crate::adopt::sha1;
use crate::adopt::tool_folder::{FolderReader, ToolFile, has_statements, number};

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let (committed, shown) = if folder.join("committed").is_dir() {
        (
            folder.join("committed"),
            format!("{}/committed", into.shown),
        )
    } else {
        (folder.to_owned(), into.shown.clone())
    };
    for item in into.items(&committed, &shown)? {
        let Some(stem) = item.name.strip_suffix(".sql") else {
            continue;
        };
        let Some((_, version, rest)) = number(stem) else {
            into.unexpected_name(&item.shown, "<number>-<name>.sql");
            continue;
        };
        let name = rest.trim_start_matches('-').to_owned();
        let Some(up) = into.script(&item.path, &item.shown) else {
            continue;
        };
        let (declared, hash) = hashes(&up.text);
        if declared.is_none() || declared != hash {
            into.layout_error(
                &item.shown,
                "the text does not match the `--! Hash:` line of the file",
                "restore the file from version control",
            );
        }
        let outside = header(&up.text).any(|line| line.trim() == "--! no-transaction");
        let mut draft = ToolFile::new(item.name.clone(), version, &name, up);
        draft.outside.0 = outside;
        draft.proof = hash;
        into.push(draft);
    }
    if let Some(current) = into.optional_script(&folder.join("current.sql"), "current.sql")
        && has_statements(&current.text)
    {
        let message = "current.sql has statements that are not committed as a migration";
        into.findings.push(
            crate::finding::Finding::warn("adopt-uncommitted", "current.sql", message).help(
                "run graphile-migrate commit first, or move the statements to the next migration",
            ),
        );
    }
    Ok(())
}

fn header(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| line.starts_with("--!"))
}

/// Returns the hash in the header and the actual one, of the previous hash and the body.
fn hashes(text: &str) -> (Option<String>, Option<String>) {
    let said = |wanted: &str| {
        header(text)
            .find_map(|line| line.strip_prefix(wanted))
            .map(|value| value.trim().to_owned())
    };
    let Some(previous) = said("--! Previous:") else {
        return (None, None);
    };
    let previous = if previous == "-" {
        String::new()
    } else {
        previous
    };
    let body = text
        .lines()
        .skip_while(|line| line.starts_with("--!"))
        .collect::<Vec<_>>()
        .join("\n");
    let hashed = format!("{previous}\n{}", body.trim());
    let hash = sha1::hex(format!("{}\n", hashed.trim()).as_bytes());
    let hash = format!("sha1:{hash}");
    (said("--! Hash:"), Some(hash))
}
