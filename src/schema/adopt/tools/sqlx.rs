//! Sqlx's folder: `<number>_<name>.sql`, or a pair of `.up.sql` and `.down.sql`; it records a SHA-384.

use std::path::Path;

use anyhow::Result;
use sha2::{Digest as _, Sha384};

use crate::adopt::tool_folder::{FolderReader, ToolFile, number};

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let items = into.items(folder, &into.shown.clone())?;
    let mut downs = Vec::new();
    for item in items.into_iter().filter(|item| !item.is_folder) {
        let Some(stem) = item.name.strip_suffix(".sql") else {
            continue;
        };
        let parsed = number(stem)
            .and_then(|(_, version, rest)| Some((version, rest.strip_prefix('_')?.to_owned())));
        let Some((version, name)) = parsed else {
            into.unexpected_name(&item.shown, "<number>_<name>.sql");
            continue;
        };
        if let Some(name) = name.strip_suffix(".down") {
            downs.push((version, name.to_owned(), item));
            continue;
        }
        let name = name.strip_suffix(".up").unwrap_or(&name);
        if let Some(up) = into.script(&item.path, &item.shown) {
            let outside = up.text.starts_with("-- no-transaction");
            let proof = Sha384::digest(up.text.as_bytes());
            let mut draft = ToolFile::new(version.to_string(), version, name, up);
            draft.outside.0 = outside;
            draft.proof = Some(format!("{proof:x}"));
            into.push(draft);
        }
    }
    for (version, name, item) in downs {
        let Some(down) = into.optional_script(&item.path, &item.shown) else {
            continue;
        };
        let outside = down.text.starts_with("-- no-transaction");
        if !into.set_down_with_mode(version, down, outside) {
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
