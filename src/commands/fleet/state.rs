//! Owns what is known of each database before a fleet is changed: its history and shape, who is set aside and why.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::commands::Context;
use crate::commands::fleet::shape::Shapes;
use crate::commands::fleet::truth::{Trust, Truth};
use crate::commands::guarding;
use crate::commands::pending::{self, Selection};
use crate::finding::Severity;
use crate::fleet::{Fleet, Member};
use crate::migrate::files::{Folder, Migration};
use crate::pg::{facts, pooler};

/// Why a database is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cause {
    /// It could not be asked.
    Unreachable,
    /// Its history and the files contradict each other, or it cannot be written to.
    Wrong,
    /// Its history knows more than the files.
    Ahead,
    /// Its schema is not that of the others with the same history.
    Drifted,
    /// It is in another state than the plan was made for.
    NotPlanned,
}

/// A database left alone.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Aside {
    pub(super) name: String,
    pub(super) cause: Cause,
    pub(super) why: String,
}

/// What tells one state of a database from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct State {
    /// Version and checksum of each applied migration.
    pub(super) history: Vec<(i64, String)>,
    /// The server's major version.
    pub(super) major: i32,
    /// The schema.
    pub(super) fingerprint: String,
    /// What an earlier run has left half-way, of which the schema then shows a part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) half_run: Vec<i64>,
}

/// A database that can be changed.
pub(super) struct Sound<'f> {
    pub(super) member: &'f Member,
    pub(super) state: State,
    /// What is in its history, in order.
    pub(super) applied: Vec<i64>,
    /// What this run will apply to it.
    pub(super) pending: Vec<i64>,
    /// How large it is.
    pub(super) bytes: i64,
}

impl Sound<'_> {
    /// Notes that these versions are no longer pending.
    pub(super) fn pass(&mut self, versions: &[i64]) {
        let (done, rest): (Vec<i64>, Vec<i64>) = self
            .pending
            .iter()
            .partition(|version| versions.contains(version));
        self.pending = rest;
        self.applied.extend(done);
        self.applied.sort_unstable();
    }
}

/// What the survey found.
pub(super) struct Surveyed<'f> {
    pub(super) sound: Vec<Sound<'f>>,
    pub(super) aside: Vec<Aside>,
}

/// What a look at a database showed.
pub(super) struct Seen {
    pub(super) state: State,
    pending: Vec<i64>,
    bytes: i64,
    wrong: Option<(Cause, String)>,
}

/// Asks every database for its history and its schema, and sets aside whom nobody should touch.
pub(super) async fn survey<'f>(
    context: &Context,
    fleet: &'f Fleet,
    folder: &Folder,
    (selection, trust): (&Selection, Trust),
) -> Surveyed<'f> {
    let shapes = Shapes::new(context, fleet);
    let question =
        async |member| look(&shapes, context, (fleet, member), (folder, selection)).await;
    let mut seen = super::ask(context, fleet, question).await;
    seen.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let (mut surveyed, groups) = sort(seen);
    let answered = groups.iter().map(Vec::len).sum();
    let mut truth = Truth::new(context, fleet, folder, (trust, answered));
    for group in groups {
        for (member, seen) in truth.judge(group, &mut surveyed).await {
            let history = seen.state.history.iter();
            surveyed.sound.push(Sound {
                member,
                applied: history.map(|(version, _)| *version).collect(),
                pending: seen.pending,
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

async fn look(
    shapes: &Shapes<'_>,
    context: &Context,
    (fleet, member): (&Fleet, &Member),
    (folder, selection): (&Folder, &Selection),
) -> Result<Seen> {
    let session = super::open(fleet, member).await?;
    let there = context.alone(member);
    let (books, standing) = super::stand(&there, &session, folder).await?;
    let fingerprint = shapes.fingerprint(&session, member).await?;
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
        .map(|finding| (Cause::Ahead, finding.message.clone()));
    let mut pending = Vec::new();
    let chosen = pending::choose(selection, &folder.migrations, &standing);
    let chosen = chosen.and_then(|(chosen, _)| {
        pending::obstacles(selection, &standing, &chosen, &books.unfinished)?;
        facts::refuse_replica(session.facts())?;
        Ok(chosen)
    });
    match chosen {
        Ok(chosen) => {
            pending = chosen
                .iter()
                .map(|file: &&Migration| file.version)
                .collect()
        }
        Err(error) if wrong.is_none() => wrong = Some((Cause::Wrong, reason(&error))),
        Err(_) => {}
    }
    if wrong.is_none()
        && let Err(error) = pooler::require_session(&session, &member.target).await
    {
        wrong = Some((Cause::Wrong, reason(&error)));
    }
    if wrong.is_none() && !pending.is_empty() {
        let kept = guarding::guards(&there)
            .and_then(|guards| guarding::backups(&there, &guards, &session));
        wrong = kept.err().map(|error| (Cause::Wrong, reason(&error)));
    }
    let state = State {
        history: books
            .history
            .rows
            .iter()
            .map(|row| (row.version, row.checksum.clone()))
            .collect(),
        major: session.facts().major(),
        fingerprint,
        half_run: books.unfinished.iter().map(|half| half.version).collect(),
    };
    session.close().await;
    Ok(Seen {
        state,
        pending,
        bytes,
        wrong,
    })
}

/// Says why, with what stands behind a refusal.
fn reason(error: &anyhow::Error) -> String {
    let failure = error.downcast_ref::<crate::error::Failure>();
    let first = failure.and_then(|failure| failure.findings.first());
    match first {
        Some(finding) => format!("{}: {}", finding.subject, finding.message),
        None => format!("{error:#}"),
    }
}

/// Databases with one history on servers of one version.
pub(super) type Group<'f> = Vec<(&'f Member, Seen)>;

fn sort<'f>(seen: Vec<(&'f Member, Result<Seen>)>) -> (Surveyed<'f>, Vec<Group<'f>>) {
    let mut surveyed = Surveyed {
        sound: Vec::new(),
        aside: Vec::new(),
    };
    let mut alike: BTreeMap<_, Group<'f>> = BTreeMap::new();
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
            Err(error) => (Cause::Unreachable, format!("{error:#}")),
        };
        surveyed.aside.push(Aside { name, cause, why });
    }
    (surveyed, alike.into_values().collect())
}
