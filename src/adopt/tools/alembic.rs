//! Owns Alembic's folder: revisions are programs, which form a chain; Alembic itself says them as SQL.

use std::path::Path;

use anyhow::Result;

use crate::adopt::folder::Gathering;

/// Reading it in place is not possible; `revisions` reads the chain, `adopt::render` the SQL.
pub(super) fn gather(_: &Path, into: &mut Gathering) -> Result<()> {
    let shown = into.shown.clone();
    into.wrong(
        &shown,
        "Alembic's revisions are programs, which cannot be read in place",
        "adopt with --convert: Alembic says them as SQL, and the SQL is kept",
    );
    Ok(())
}
