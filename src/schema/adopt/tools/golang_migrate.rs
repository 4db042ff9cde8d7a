//! Golang-migrate's folder: `000001_name.up.sql` beside `000001_name.down.sql`.
//!
//! Its server runs each file as one message, so a file that must be outside a transaction is, and one that writes
//! `BEGIN` has its own.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::{FolderReader, ToolFile, number};

const FORM: &str = "<number>_<name>.up.sql";

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let items = into.items(folder, &into.shown.clone())?;
    let mut downs = Vec::new();
    for item in items.into_iter().filter(|item| !item.is_folder) {
        let Some(stem) = item.name.strip_suffix(".sql") else {
            continue;
        };
        // Some projects have a `V` before the number.
        let bare = stem.strip_prefix(['V', 'v']).unwrap_or(stem);
        let parsed = number(bare).and_then(|(_, version, rest)| {
            let rest = rest.strip_prefix(['_', '.', '-'])?;
            if let Some(name) = rest.strip_suffix(".up") {
                Some((version, name.to_owned(), false))
            } else {
                rest.strip_suffix(".down")
                    .map(|name| (version, name.to_owned(), true))
            }
        });
        match parsed {
            None => into.unexpected_name(&item.shown, FORM),
            Some((version, name, true)) => downs.push((version, name, item)),
            Some((version, name, false)) => {
                if let Some(up) = into.script(&item.path, &item.shown) {
                    into.push(ToolFile::new(version.to_string(), version, &name, up));
                }
            }
        }
    }
    for (version, name, item) in downs {
        let Some(down) = into.optional_script(&item.path, &item.shown) else {
            continue;
        };
        // The tool pairs by number alone.
        if !into.set_down(version, down) {
            let message = format!("down migration without an up migration: {version} `{name}`");
            into.layout_error(
                &item.shown,
                message,
                "remove the file, or restore the up migration",
            );
        }
    }
    Ok(())
}
