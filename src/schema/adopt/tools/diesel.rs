//! Diesel's folders: `<version>_<name>/` with `up.sql`, `down.sql` and perhaps `metadata.toml`.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::{FolderReader, ToolFile, number};
use crate::disk;

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    for item in into.items(folder, &into.shown.clone())? {
        if !item.is_folder {
            continue;
        }
        let (version, name) = item.name.split_once('_').unwrap_or((&item.name, ""));
        // Diesel records versions such as `2026-04-01-120000` without the dashes.
        let key = version.replace('-', "");
        let Some((_, version, "")) = number(&key) else {
            into.unexpected_name(&item.shown, "<version>_<name>/");
            continue;
        };
        let up_path = item.path.join("up.sql");
        let shown = format!("{}/up.sql", item.shown);
        if !up_path.is_file() {
            into.layout_error(
                &item.shown,
                "up.sql is missing in this folder",
                "write it, or remove the folder",
            );
            continue;
        }
        let Some(up) = into.script(&up_path, &shown) else {
            continue;
        };
        let mut draft = ToolFile::new(key, version, name, up);
        draft.down = into.optional_script(
            &item.path.join("down.sql"),
            &format!("{}/down.sql", item.shown),
        );
        let metadata = disk::read_text(&item.path.join("metadata.toml"), "").unwrap_or_default();
        let outside = metadata.lines().any(|line| {
            let line: String = line.split_whitespace().collect();
            line.starts_with("run_in_transaction=false")
        });
        draft.outside = (outside, outside);
        into.push(draft);
    }
    Ok(())
}
