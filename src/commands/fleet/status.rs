//! `status` on a fleet: the version of each database, which are behind and which cannot be reached.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Report, project};
use crate::finding::{Finding, Severity};
use crate::fleet::{Fleet, Member};
use crate::migrate::files::MigrationFolder;

/// The position of a database relative to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MemberPosition {
    /// All migrations are applied.
    Current,
    /// Migrations are pending.
    Behind,
    /// Its history has migrations that are not in this checkout.
    Ahead,
    /// Its history conflicts with the files, or a migration is partially applied.
    Wrong,
    /// It could not be reached.
    Unreachable,
}

/// The status of one database.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MemberStatus {
    pub(crate) name: String,
    pub(crate) database: String,
    pub(crate) place: MemberPosition,
    /// The newest applied version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    pub(crate) pending: usize,
    /// Why it could not be reached, or the first error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct VersionCount {
    version: Option<i64>,
    databases: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FleetStatus {
    fleet: String,
    versions: Vec<VersionCount>,
    databases: Vec<MemberStatus>,
    #[serde(skip)]
    findings: Vec<Finding>,
    #[serde(skip)]
    outcome: Outcome,
}

/// Shows the status of every database of a fleet.
pub(crate) async fn status(context: &Context, path: &Path, check: bool) -> Result<Outcome> {
    let folder = project::folder(context)?;
    let fleet = super::load(context, path).await?;
    let databases = survey(context, &fleet, &folder).await;
    let mut versions: BTreeMap<Option<i64>, usize> = BTreeMap::new();
    for one in databases
        .iter()
        .filter(|one| one.place != MemberPosition::Unreachable)
    {
        *versions.entry(one.version).or_default() += 1;
    }
    let mut findings = folder.findings.clone();
    findings.extend(databases.iter().filter_map(finding));
    let not_current = databases
        .iter()
        .any(|one| one.place != MemberPosition::Current);
    let outcome =
        if check && (not_current || Outcome::of(&findings, Severity::Warn) == Outcome::Found) {
            Outcome::Found
        } else {
            Outcome::Clean
        };
    let versions = versions
        .into_iter()
        .rev()
        .map(|(version, databases)| VersionCount { version, databases })
        .collect();
    context.show(&FleetStatus {
        fleet: context.config.shown(path),
        versions,
        databases,
        findings,
        outcome,
    })
}

/// Reads the status of every database, in the order of the fleet file.
pub(crate) async fn survey(
    context: &Context,
    fleet: &Fleet,
    folder: &MigrationFolder,
) -> Vec<MemberStatus> {
    let question = async |member| place(context, fleet, member, folder).await;
    let answers = super::query_all(context, fleet, question).await;
    answers.into_iter().map(|(_, stands)| stands).collect()
}

async fn place(
    context: &Context,
    fleet: &Fleet,
    member: &Member,
    folder: &MigrationFolder,
) -> MemberStatus {
    let mut stands = MemberStatus {
        name: member.name.clone(),
        database: member.to_string(),
        place: MemberPosition::Unreachable,
        version: None,
        pending: 0,
        cause: None,
    };
    let asked = async {
        let session = super::open(fleet, member).await?;
        let stood = super::compare_history(&context.alone(member), &session, folder).await;
        session.close().await;
        stood
    };
    match asked.await {
        Err(error) => stands.cause = Some(format!("{error:#}")),
        Ok((records, standing)) => {
            stands.version = records.history.rows.last().map(|row| row.version);
            stands.pending = standing.pending.len() + standing.out_of_order.len();
            // Findings about the files are not findings about a database.
            let mut wrong = standing.findings.iter().skip(folder.findings.len());
            let wrong = wrong.find(|finding| finding.severity == Severity::Error);
            stands.cause = wrong.map(|finding| finding.message.clone());
            stands.place = match wrong {
                Some(finding) if finding.code == "history-unknown" => MemberPosition::Ahead,
                Some(_) => MemberPosition::Wrong,
                None if stands.pending > 0 => MemberPosition::Behind,
                None => MemberPosition::Current,
            };
        }
    }
    stands
}

fn finding(stands: &MemberStatus) -> Option<Finding> {
    let cause = stands.cause.as_deref()?;
    let (code, severity) = match stands.place {
        MemberPosition::Unreachable => ("fleet-unreachable", Severity::Warn),
        MemberPosition::Ahead => ("fleet-ahead", Severity::Warn),
        _ => ("fleet-wrong", Severity::Error),
    };
    let finding = Finding::new(severity, code, &stands.name, cause);
    Some(finding.detail(&stands.database))
}

impl Report for FleetStatus {
    fn command(&self) -> &'static str {
        "status"
    }

    fn human(&self, page: &mut Page) {
        let all = count(self.databases.len(), "database", "databases");
        page.line(format!("{all} of {}", self.fleet));
        page.gap();
        let rows: Vec<_> = self
            .versions
            .iter()
            .map(|line| {
                let version = line
                    .version
                    .map_or("nothing applied".to_owned(), |version| {
                        format!("V{version}")
                    });
                let here: Vec<&MemberStatus> = self
                    .databases
                    .iter()
                    .filter(|one| {
                        one.place != MemberPosition::Unreachable && one.version == line.version
                    })
                    .collect();
                let most = here.iter().map(|one| one.pending).max().unwrap_or(0);
                let (tone, word) = match most {
                    0 => (Tone::Good, "up to date".to_owned()),
                    most => (Tone::Warn, format!("{most} pending")),
                };
                vec![
                    (Tone::Plain, version),
                    (Tone::Plain, format!("{:>6}", line.databases)),
                    (tone, word),
                    (
                        Tone::Dim,
                        if here.len() <= 5 || most > 0 {
                            names(&here)
                        } else {
                            String::new()
                        },
                    ),
                ]
            })
            .collect();
        page.table(&rows);
        let lost = self
            .databases
            .iter()
            .filter(|one| one.place == MemberPosition::Unreachable)
            .count();
        if lost > 0 {
            page.gap();
            page.toned(
                Tone::Bad,
                format!(
                    "{} could not be reached",
                    count(lost, "database", "databases")
                ),
            );
        }
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// The first few names, and the number of the others: a fleet must not fill the screen.
fn names(of: &[&MemberStatus]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<&str> = of.iter().take(SHOWN).map(|one| one.name.as_str()).collect();
    let more = of.len().saturating_sub(SHOWN);
    let rest = format!("and {more} more");
    if more > 0 {
        text.push(&rest);
    }
    text.join(", ")
}
