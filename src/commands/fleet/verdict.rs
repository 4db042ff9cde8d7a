//! `validate` on a fleet: compares each history with the files and each distinct schema with its migrations.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::commands::Context;
use crate::commands::change::select::Selection;
use crate::commands::fleet::member_state::SkippedMember;
use crate::commands::fleet::reference_schema::ReferenceSource;
use crate::commands::fleet::survey;
use crate::commands::page::count;
use crate::finding::Finding;
use crate::migrate::files::MigrationFolder;

/// The result of validating a fleet.
pub(crate) struct FleetVerdict {
    pub(crate) words: String,
    pub(crate) findings: Vec<Finding>,
}

/// Validates every database of a fleet.
pub(crate) async fn verdict(
    context: &Context,
    path: &Path,
    folder: &MigrationFolder,
) -> Result<FleetVerdict> {
    let fleet = super::load(context, path).await?;
    let all = Selection::default();
    let surveyed = survey::survey(context, &fleet, folder, &all, ReferenceSource::Migrations).await;
    let states: BTreeSet<_> = surveyed.sound.iter().map(|one| &one.state).collect();
    let words = format!(
        "{} in {}, {} skipped",
        count(fleet.members.len(), "database", "databases"),
        count(states.len(), "state", "states"),
        surveyed.aside.len()
    );
    Ok(FleetVerdict {
        words,
        findings: surveyed.aside.iter().map(SkippedMember::finding).collect(),
    })
}
