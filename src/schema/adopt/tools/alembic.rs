//! Alembic's folder: revisions are programs, which form a chain; Alembic itself says them as SQL.

use std::path::Path;

use anyhow::Result;

use crate::adopt::folder::Gathering;

/// Reading it in place is not possible; `adopt::render` has Alembic say the SQL.
pub(super) fn gather(_: &Path, into: &mut Gathering) -> Result<()> {
    let shown = into.shown.clone();
    into.wrong(
        &shown,
        "Alembic's revisions are programs, which cannot be read in place",
        "take them over converted, as adopt does: Alembic says them as SQL, and the SQL is kept",
    );
    Ok(())
}
