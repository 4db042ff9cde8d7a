//! Alembic's folder: revisions are programs, which Alembic renders as SQL.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::FolderReader;

/// Revisions cannot be read in place; see `adopt::render`.
pub(super) fn gather(_: &Path, into: &mut FolderReader) -> Result<()> {
    let shown = into.shown.clone();
    into.layout_error(
        &shown,
        "Alembic revisions are Python programs and cannot be read in place",
        "convert the revisions to SQL: af-db adopt",
    );
    Ok(())
}
