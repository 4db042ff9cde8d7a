//! Nothing of refinery's folder: it is our own layout.

use std::path::Path;

use anyhow::Result;

use crate::adopt::folder::{Draft, Gathering};
use crate::migrate::files;

pub(super) fn gather(folder: &Path, into: &mut Gathering) -> Result<()> {
    let listed = files::list(folder, &into.shown)?;
    into.findings.extend(listed.findings);
    for migration in listed.migrations {
        let mut draft = Draft::new(
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
