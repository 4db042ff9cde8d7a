//! Surveys every database before a fleet is changed: history, schema, pending migrations, and which are skipped.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::commands::Context;
use crate::commands::change::select::{self, Selection};
use crate::commands::fleet::fingerprints::Fingerprints;
use crate::commands::fleet::member_state::{
    MemberState, SameHistory, SkipReason, SkippedMember, Survey, SurveyedMember, UpgradableMember,
};
use crate::commands::fleet::reference_schema::{ReferenceSchema, ReferenceSource};
use crate::commands::{change::gate, protection};
use crate::finding::Severity;
use crate::fleet::{Fleet, Member};
use crate::migrate::files::{Migration, MigrationFolder};
use crate::pg::{pooler, server_info};

/// Reads the history and the schema of every database, and skips those that must not be changed.
pub(super) async fn survey<'f>(
    context: &Context,
    fleet: &'f Fleet,
    folder: &MigrationFolder,
    selection: &Selection,
    trust: ReferenceSource,
) -> Survey<'f> {
    let fingerprints = Fingerprints::new(context, fleet);
    let question = async |member| {
        survey_member(&fingerprints, context, fleet, member, folder, selection).await
    };
    let mut seen = super::query_all(context, fleet, question).await;
    seen.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let (mut surveyed, groups) = sort(seen);
    let answered = groups.iter().map(Vec::len).sum();
    let mut reference = ReferenceSchema::new(context, fleet, folder, trust, answered);
    for group in groups {
        for (member, seen) in reference.without_drifted(group, &mut surveyed).await {
            let history = seen.state.history.iter();
            surveyed.sound.push(UpgradableMember {
                member,
                applied: history.map(|(version, _)| *version).collect(),
                pending: seen.pending,
                database: seen.database,
                state: seen.state,
                bytes: seen.bytes,
            });
        }
    }
    surveyed
        .aside
        .sort_by(|one, other| (one.cause, &one.name).cmp(&(other.cause, &other.name)));
    surveyed
}

async fn survey_member(
    fingerprints: &Fingerprints<'_>,
    context: &Context,
    fleet: &Fleet,
    member: &Member,
    folder: &MigrationFolder,
    selection: &Selection,
) -> Result<SurveyedMember> {
    let there = context.alone(member);
    let session = super::open(fleet, member).await?;
    let reached = protection::enter_member(&there, &session, &member.target).await;
    let (records, standing) = super::compare_history(&there, &session, folder).await?;
    let fingerprint = fingerprints.fingerprint(&session, member).await?;
    let bytes = session
        .query_one(
            "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())",
            &[],
        )
        .await?
        .get(0);
    let mut wrong = standing
        .findings
        .iter()
        .find(|finding| finding.severity == Severity::Error && finding.code == "history-unknown")
        .map(|finding| (SkipReason::Ahead, finding.message.clone()));
    if let Err(error) = &reached {
        wrong = Some((SkipReason::Wrong, reason(error)));
    }
    let mut pending = Vec::new();
    let chosen = select::choose(selection, &folder.migrations, &standing);
    let chosen = chosen.and_then(|(chosen, _)| {
        select::obstacles(selection, &standing, &chosen, &records.unfinished)?;
        server_info::refuse_replica(session.server_info())?;
        Ok(chosen)
    });
    match chosen {
        Ok(chosen) => {
            pending = chosen
                .iter()
                .map(|file: &&Migration| file.version)
                .collect()
        }
        Err(error) if wrong.is_none() => wrong = Some((SkipReason::Wrong, reason(&error))),
        Err(_) => {}
    }
    if wrong.is_none()
        && let Err(error) = pooler::require_session(&session, &member.target).await
    {
        wrong = Some((SkipReason::Wrong, reason(&error)));
    }
    if wrong.is_none() && !pending.is_empty() {
        let kept = gate::guards(&there).and_then(|guards| gate::backups(&there, &guards, &session));
        wrong = kept.err().map(|error| (SkipReason::Wrong, reason(&error)));
    }
    let state = MemberState {
        history: records
            .history
            .rows
            .iter()
            .map(|row| (row.version, row.checksum.clone()))
            .collect(),
        major: session.server_info().major(),
        fingerprint,
        half_run: records.unfinished.iter().map(|half| half.version).collect(),
    };
    session.close().await;
    Ok(SurveyedMember {
        database: there.config.database.clone(),
        state,
        pending,
        bytes,
        wrong,
    })
}

/// The reason of an error: the first finding of a refusal, else the message.
fn reason(error: &anyhow::Error) -> String {
    let failure = error.downcast_ref::<crate::error::Failure>();
    let first = failure.and_then(|failure| failure.findings.first());
    match first {
        Some(finding) => format!("{}: {}", finding.subject, finding.message),
        None => format!("{error:#}"),
    }
}

fn sort<'f>(seen: Vec<(&'f Member, Result<SurveyedMember>)>) -> (Survey<'f>, Vec<SameHistory<'f>>) {
    let mut surveyed = Survey {
        sound: Vec::new(),
        aside: Vec::new(),
    };
    let mut alike: BTreeMap<_, SameHistory<'f>> = BTreeMap::new();
    for (member, found) in seen {
        let name = member.name.clone();
        let (cause, why) = match found {
            Ok(seen) => match seen.wrong {
                Some(wrong) => wrong,
                None => {
                    let state = &seen.state;
                    let like = (state.history.clone(), state.major, state.half_run.clone());
                    alike.entry(like).or_default().push((member, seen));
                    continue;
                }
            },
            Err(error) => (SkipReason::Unreachable, format!("{error:#}")),
        };
        surveyed.aside.push(SkippedMember { name, cause, why });
    }
    (surveyed, alike.into_values().collect())
}
