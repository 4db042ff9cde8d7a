//! Alembic's folder: revisions are programs, which form a chain; Alembic itself says them as SQL.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::FolderReader;

/// Reading it in place is not possible; `adopt::render` has Alembic say the SQL.
pub(super) fn gather(_: &Path, into: &mut FolderReader) -> Result<()> {
    let shown = into.shown.clone();
    into.layout_error(
        &shown,
        "Alembic revisions are Python programs and cannot be read in place",
        "convert the revisions to SQL: af-db adopt",
    );
    Ok(())
}
