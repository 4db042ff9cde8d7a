//! Prisma's folders: `<timestamp>_<name>/migration.sql`; it records the file's SHA-256.
//!
//! Prisma writes no down migrations; a `down.sql` beside the file is used as one.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::{FolderReader, ToolFile, number};
use crate::migrate::checksum;

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    for item in into.items(folder, &into.shown.clone())? {
        let file = item.path.join("migration.sql");
        if !item.is_folder || !file.exists() {
            continue;
        }
        let parsed = number(&item.name).and_then(|(_, version, rest)| {
            Some((version, rest.strip_prefix(['_', '-'])?.to_owned()))
        });
        let Some((version, name)) = parsed else {
            into.unexpected_name(&item.shown, "<timestamp>_<name>/migration.sql");
            continue;
        };
        let Some(up) = into.script(&file, &format!("{}/migration.sql", item.shown)) else {
            continue;
        };
        let proof = checksum::sha256(&up.text);
        let mut draft = ToolFile::new(item.name.clone(), version, &name, up);
        draft.proof = Some(proof);
        draft.down = into.optional_script(
            &item.path.join("down.sql"),
            &format!("{}/down.sql", item.shown),
        );
        into.push(draft);
    }
    Ok(())
}
