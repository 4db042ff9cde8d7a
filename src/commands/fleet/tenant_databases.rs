//! Databases whose schemas are tenants: takes the lock of each once and applies the shared migrations first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;

use crate::commands::change::run::Migrations;
use crate::commands::change::select::{self, Selection};
use crate::commands::fleet::member_state::UpgradableMember;
use crate::commands::fleet::member_up::MemberUpgrade;
use crate::commands::fleet::shared_migrations;
use crate::commands::fleet::up_report::{FleetUp, MemberProblem};
use crate::commands::{project, protection};
use crate::error::{Exit, exit_of};
use crate::event::silent;
use crate::fleet::Member;
use crate::migrate::files::MigrationFolder;
use crate::pg::lock::LockedSession;
use crate::pg::pooler;

/// Locks every database shared by tenants and applies the shared migrations, before any tenant is migrated.
///
/// Returns the sessions that hold the locks. Tenants of a database that could not be locked or migrated are reported and
/// left out of the run.
pub(super) async fn prepare(
    upgrade: &MemberUpgrade<'_>,
    sound: &mut Vec<UpgradableMember<'_>>,
    report: &mut FleetUp,
) -> Result<BTreeMap<String, LockedSession>> {
    let shared = shared_migrations::files(upgrade.context, upgrade.fleet)?;
    let mut places: BTreeMap<String, &Member> = BTreeMap::new();
    let mut waiting = BTreeSet::new();
    for one in sound.iter().filter(|one| one.member.tenant.is_some()) {
        places.entry(one.member.location()).or_insert(one.member);
        if !one.pending.is_empty() {
            waiting.insert(one.member.location());
        }
    }
    let mut holders = BTreeMap::new();
    for (place, member) in places {
        if shared.is_none() && !waiting.contains(&place) {
            continue;
        }
        let member = Member {
            tenant: None,
            ..member.clone()
        };
        let error = match one(upgrade, &member, shared.as_ref()).await {
            Ok((session, applied)) => {
                holders.insert(place, session);
                if applied > 0 {
                    report.shared.push((member.target.to_string(), applied));
                }
                continue;
            }
            Err(error) => error,
        };
        let why = format!("shared migrations: {error:#}");
        let problem = MemberProblem {
            name: member.target.to_string(),
            why,
        };
        match exit_of(&error) {
            Exit::Busy => report.busy.push(problem),
            Exit::Interrupted => report.interrupted = true,
            _ => report.failed.push(problem),
        }
        report.not_begun += sound
            .iter()
            .filter(|one| one.member.location() == place)
            .count();
        sound.retain(|one| one.member.location() != place);
    }
    if report.failed.len() > upgrade.fleet.limits.failures {
        report.stop("the shared migrations failed".to_owned());
    }
    Ok(holders)
}

/// Applies the shared migrations of one database; returns the session with its lock, and the number applied.
async fn one(
    upgrade: &MemberUpgrade<'_>,
    member: &Member,
    shared: Option<&MigrationFolder>,
) -> Result<(LockedSession, usize)> {
    let context = upgrade.context.alone(member);
    let session = super::open_to_write(&context, upgrade.fleet, member).await?;
    pooler::require_session(&session, &member.target).await?;
    let session = LockedSession::take(session, Duration::from_secs(2), &silent).await?;
    protection::mark(&context, &session, &member.target).await;
    let records = project::history_and_journal(&context, &session).await?;
    let Some(folder) = shared else {
        project::create_journal(&session, records.history.has_journal).await?;
        return Ok((session, 0));
    };
    let standing = project::migration_status(&context, folder, &records)?;
    let all = Selection::default();
    let (chosen, _) = select::choose(&all, &folder.migrations, &standing)?;
    select::obstacles(&all, &standing, &chosen, &records.unfinished)?;
    let ledger = project::record_settings(&context, &records.history, folder)?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    let migrations = Migrations {
        chosen: &chosen,
        ledger: &ledger,
        unfinished: &records.unfinished,
    };
    let run = upgrade.run(&member.target);
    let (session, outcome) = run.up(session, migrations).await?;
    match outcome.stopped {
        Some(failure) => Err(failure.into()),
        None => Ok((session, outcome.applied.len())),
    }
}
