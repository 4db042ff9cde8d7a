//! Owns what binds `up` on a fleet to a plan: each database goes on from a state that was planned, or not at all.

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

/// The plan of a run.
pub(super) struct ApprovedFleetPlan {
    pub(super) sha256: String,
    plan: FleetPlan,
}

impl ApprovedFleetPlan {
    /// Reads it, and refuses it where a file is no longer what was planned.
    pub(super) fn load(
        path: &Path,
        (folder, shared): (&MigrationFolder, Option<&MigrationFolder>),
    ) -> Result<ApprovedFleetPlan> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading {shown}; nothing was touched"))?;
        let plan = FleetPlan::parse(&shown, &text)?;
        if plan.shared != shared_migrations::hashes(shared) {
            return Err(refuse(format!(
                "the files of what tenants share are not what {shown} planned; nothing was touched"
            ))
            .hint("restore them, or plan again and have the new plan approved")
            .into());
        }
        for step in plan.states.iter().flat_map(|state| &state.plan.steps) {
            let mut files = folder.migrations.iter();
            let file = files.find(|file| file.version == step.version);
            let now = file.map(|file| format!("sha256:{}", checksum::sha256(&file.up.text)));
            if now.as_deref() != Some(step.sha256.as_str()) {
                return Err(refuse(format!(
                    "{} is not what {shown} planned; nothing was touched",
                    step.file
                ))
                .hint("restore the file, or plan again and have the new plan approved")
                .into());
            }
        }
        Ok(ApprovedFleetPlan {
            sha256: document::sha256(&text),
            plan,
        })
    }

    /// Keeps the databases that are where they were planned, or on the way from there; sets the others aside.
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
            match planned.get(name).map(|planned| left(planned, &one)) {
                Some(Ok(pending)) => one.pending = pending,
                // What had nothing to do then has nothing to do now.
                None if one.pending.is_empty() => {}
                other => {
                    let why = match other {
                        Some(Err(why)) => why,
                        _ => "the plan does not speak of it",
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

    /// Gives the schema that a database must come to, and what it is called there, where tenants share a database.
    pub(super) fn schema_after(&self, name: &str) -> Option<(&str, Option<&str>)> {
        let mut states = self.plan.states.iter();
        let state = states.find(|state| state.databases.iter().any(|one| one == name))?;
        let after = state.plan.schema_after.as_deref()?;
        Some((after, state.schema.as_deref()))
    }
}

/// Gives what is left of a plan for a database, or says why it cannot be the plan's.
fn left(planned: &StatePlan, one: &UpgradableMember<'_>) -> Result<Vec<i64>, &'static str> {
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
        return Err("its history has gone another way since the plan was made");
    }
    if one.state.major != planned.state.major {
        return Err("its server has another version than the plan was made for");
    }
    let known = one.state.half_run.is_empty() && added.is_empty();
    if known && one.state.fingerprint != planned.state.fingerprint {
        return Err("its schema has changed since the plan was made");
    }
    let done = |version: i64| added.iter().any(|(there, _)| *there == version);
    let left = steps.iter().map(|(version, _)| *version);
    Ok(left.filter(|version| !done(*version)).collect())
}
