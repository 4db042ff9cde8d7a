//! The migrations of the objects that the tenants of a database share.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::commands::Context;
use crate::fleet::Fleet;
use crate::migrate::checksum;
use crate::migrate::files::{self, Migration, MigrationFolder};

/// Lists the shared migrations; none where the fleet has none.
pub(super) fn files(context: &Context, fleet: &Fleet) -> Result<Option<MigrationFolder>> {
    let Some(path) = &fleet.shared else {
        return Ok(None);
    };
    let shown = context.config.shown(path);
    let folder = files::list(path, &shown).with_context(|| format!("reading {shown}"))?;
    Ok(Some(folder))
}

/// The versions and hashes of the shared migrations.
pub(super) fn hashes(shared: Option<&MigrationFolder>) -> Vec<String> {
    let files = shared.into_iter().flat_map(|folder| &folder.migrations);
    let hash = |file: &Migration| {
        format!(
            "V{} sha256:{}",
            file.version,
            checksum::sha256(&file.up.text)
        )
    };
    files.map(hash).collect()
}

pub(crate) async fn of_file(context: &Context, path: &Path) -> Result<Vec<Migration>> {
    let fleet = super::load(context, path).await?;
    let folder = files(context, &fleet)?;
    Ok(folder.map_or_else(Vec::new, |folder| folder.migrations))
}
