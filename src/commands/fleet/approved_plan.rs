//! The saved plan of a fleet: only databases in a planned state are migrated.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::commands::fleet::member_state::{SkipReason, SkippedMember, Survey, UpgradableMember};
use crate::commands::fleet::plan::{FleetPlan, StatePlan};
use crate::commands::fleet::shared_migrations;
use crate::error::refuse;
use crate::migrate::checksum;
use crate::migrate::files::MigrationFolder;
use crate::plan::document;

/// A saved plan.
pub(super) struct ApprovedFleetPlan {
    pub(super) sha256: String,
    plan: FleetPlan,
}

impl ApprovedFleetPlan {
    /// Reads the plan; refuses it if a migration file has changed since.
    pub(super) fn load(
        path: &Path,
        folder: &MigrationFolder,
        shared: Option<&MigrationFolder>,
    ) -> Result<ApprovedFleetPlan> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading {shown}; nothing was changed"))?;
        let plan = FleetPlan::parse(&shown, &text)?;
        if plan.shared != shared_migrations::hashes(shared) {
            return Err(refuse(format!(
                "the shared migrations are not the ones in {shown}; nothing was changed"
            ))
            .hint("Restore the files, or make a new plan and have it approved")
            .into());
        }
        for step in plan.states.iter().flat_map(|state| &state.plan.steps) {
            let mut files = folder.migrations.iter();
            let file = files.find(|file| file.version == step.version);
            let now = file.map(|file| format!("sha256:{}", checksum::sha256(&file.up.text)));
            if now.as_deref() != Some(step.sha256.as_str()) {
                return Err(refuse(format!(
                    "{} is not the file that {shown} was made from; nothing was changed",
                    step.file
                ))
                .hint("Restore the file, or make a new plan and have it approved")
                .into());
            }
        }
        Ok(ApprovedFleetPlan {
            sha256: document::sha256(&text),
            plan,
        })
    }

    /// Keeps the databases in a planned state, or with a part of the plan applied; skips the others.
    pub(super) fn keep<'f>(&self, surveyed: Survey<'f>) -> Survey<'f> {
        let mut planned: BTreeMap<&str, &StatePlan> = BTreeMap::new();
        for state in &self.plan.states {
            for name in &state.databases {
                planned.insert(name, state);
            }
        }
        let Survey { sound, mut aside } = surveyed;
        let mut kept = Vec::with_capacity(sound.len());
        for mut one in sound {
            let name = one.member.name.as_str();
            match planned.get(name).map(|planned| remaining(planned, &one)) {
                Some(Ok(pending)) => one.pending = pending,
                // Databases that are up to date are not part of a plan.
                None if one.pending.is_empty() => {}
                other => {
                    let why = match other {
                        Some(Err(why)) => why,
                        _ => "not in the plan",
                    };
                    aside.push(SkippedMember {
                        name: name.to_owned(),
                        cause: SkipReason::NotPlanned,
                        why: why.to_owned(),
                    });
                    continue;
                }
            }
            kept.push(one);
        }
        Survey { sound: kept, aside }
    }

    /// The predicted schema of a database, and the schema name it was planned with where tenants share a database.
    pub(super) fn schema_after(&self, name: &str) -> Option<(&str, Option<&str>)> {
        let mut states = self.plan.states.iter();
        let state = states.find(|state| state.databases.iter().any(|one| one == name))?;
        let after = state.plan.schema_after.as_deref()?;
        Some((after, state.schema.as_deref()))
    }
}

/// The versions of the plan that are still pending, or why the database is not in a planned state.
fn remaining(planned: &StatePlan, one: &UpgradableMember<'_>) -> Result<Vec<i64>, &'static str> {
    let (then, now) = (&planned.state.history, &one.state.history);
    let steps: Vec<(i64, &str)> = planned
        .plan
        .steps
        .iter()
        .map(|step| (step.version, step.checksum.as_str()))
        .collect();
    let is_step = |(version, checksum): &(i64, String)| {
        steps
            .iter()
            .any(|(step, expected)| step == version && expected == checksum)
    };
    let added: Vec<&(i64, String)> = now.iter().filter(|row| !then.contains(row)).collect();
    if now.len() - added.len() != then.len() || !added.iter().all(|row| is_step(row)) {
        return Err("the history has diverged since the plan was made");
    }
    if one.state.major != planned.state.major {
        return Err("the server version is not the one that the plan was made for");
    }
    let known = one.state.half_run.is_empty() && added.is_empty();
    if known && one.state.fingerprint != planned.state.fingerprint {
        return Err("the schema has changed since the plan was made");
    }
    let done = |version: i64| added.iter().any(|(there, _)| *there == version);
    let left = steps.iter().map(|(version, _)| *version);
    Ok(left.filter(|version| !done(*version)).collect())
}
