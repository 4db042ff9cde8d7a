//! Refinery's folder, which is the layout of af-db.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::{FolderReader, ToolFile};
use crate::migrate::files;

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    let listed = files::list(folder, &into.shown)?;
    into.findings.extend(listed.findings);
    for migration in listed.migrations {
        let mut draft = ToolFile::new(
            migration.version.to_string(),
            migration.version,
            &migration.name,
            migration.up,
        );
        draft.down = migration.down;
        into.push(draft);
    }
    Ok(())
}
