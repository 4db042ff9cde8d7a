//! The Supabase CLI's folder: `supabase/migrations/<timestamp>_<name>.sql`, without down migrations.
//!
//! `supabase/seed.sql` is data for a local database, not a migration.

use std::path::Path;

use anyhow::Result;

use crate::adopt::tool_folder::{FolderReader, ToolFile, number};

pub(super) fn gather(folder: &Path, into: &mut FolderReader) -> Result<()> {
    for item in into.items(folder, &into.shown.clone())? {
        let Some(stem) = item.name.strip_suffix(".sql") else {
            continue;
        };
        let parsed = number(stem).and_then(|(digits, version, rest)| {
            Some((
                digits.to_owned(),
                version,
                rest.strip_prefix('_')?.to_owned(),
            ))
        });
        let Some((digits, version, name)) = parsed else {
            into.unexpected_name(&item.shown, "<timestamp>_<name>.sql");
            continue;
        };
        if let Some(up) = into.script(&item.path, &item.shown) {
            into.push(ToolFile::new(digits, version, &name, up));
        }
    }
    Ok(())
}
