//! Runs a command on each database of a fleet and reports all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::PoisonError;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Report};
use crate::error::{exit_of, fail};
use crate::finding::{Finding, Severity};
use crate::fleet::{Fleet, Member};

/// The result of a command on one database.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct MemberResult {
    name: String,
    database: String,
    outcome: &'static str,
    /// The report of the command, without its findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// The results of a command on all databases.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct FleetReport {
    #[serde(skip)]
    command: &'static str,
    fleet: String,
    databases: Vec<MemberResult>,
    #[serde(skip)]
    line: SummaryLine,
    #[serde(skip)]
    interrupted: bool,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// A command that runs on each database.
pub(crate) struct MemberCommand {
    /// The command as typed.
    pub(crate) command: &'static str,
    /// A summary line of one of its reports.
    pub(crate) line: SummaryLine,
    /// Whether the command handles whole databases, including those shared by tenants; otherwise tenants are refused.
    pub(crate) whole: bool,
}

/// Summarizes a report in a line; none if there is nothing to show.
pub(crate) type SummaryLine = fn(&Value) -> Option<String>;

const FAILED: &str = "failed";

/// Runs a command on every database of a fleet.
pub(crate) async fn on_each(
    context: &Context,
    path: &Path,
    each: &MemberCommand,
    work: impl AsyncFn(&Context) -> Result<Outcome>,
) -> Result<Outcome> {
    let mut fleet = super::load(context, path).await?;
    if each.whole {
        as_databases(&mut fleet);
    } else if let Some(member) = fleet.members.iter().find(|member| member.tenant.is_some()) {
        return Err(fail(format!(
            "`{}` is a schema, but {} works on whole databases; nothing was done",
            member.name, each.command
        ))
        .hint("To compare the tenants of a database: af-db validate --fleet")
        .into());
    }
    let guard = context.interrupt.guard();
    let question = async |member: &Member| {
        // A single database is waited for longer than a member of a fleet may take.
        let there = context.alone(member);
        let ended = match super::open(&fleet, member).await {
            Ok(session) => {
                session.close().await;
                work(&there).await
            }
            Err(error) => Err(error),
        };
        member_result(member, &there, ended)
    };
    let answers = super::query_all(context, &fleet, question).await;
    drop(guard);
    let databases: Vec<MemberResult> = answers.into_iter().map(|(_, ended)| ended).collect();
    context.show(&FleetReport {
        command: each.command,
        fleet: context.config.shown(path),
        findings: combined(&databases),
        line: each.line,
        interrupted: context.interrupt.is_raised(),
        databases,
    })
}

/// Lists each database shared by tenants once.
fn as_databases(fleet: &mut Fleet) {
    let mut seen = BTreeSet::new();
    fleet
        .members
        .retain(|member| member.tenant.is_none() || seen.insert(member.location()));
    for member in &mut fleet.members {
        if member.tenant.take().is_some() {
            member.name = member.target.database().to_owned();
        }
    }
}

fn member_result(member: &Member, there: &Context, ended: Result<Outcome>) -> MemberResult {
    let mut one = MemberResult {
        name: member.name.clone(),
        database: member.to_string(),
        outcome: FAILED,
        report: None,
        cause: None,
        findings: Vec::new(),
    };
    match ended {
        Ok(outcome) => {
            one.outcome = outcome.word();
            let told = there.told.lock().unwrap_or_else(PoisonError::into_inner);
            let mut document = told.clone().unwrap_or_default();
            if let Some(keys) = document.as_object_mut() {
                let findings = keys.remove("findings").unwrap_or_default();
                one.findings = serde_json::from_value(findings).unwrap_or_default();
                keys.retain(|key, _| !matches!(key.as_str(), "version" | "command" | "outcome"));
            }
            one.report = Some(document);
        }
        Err(error) => {
            let code = match exit_of(&error).code() {
                75 => "fleet-busy",
                130 => "fleet-interrupted",
                _ => "fleet-failed",
            };
            let finding = Finding::error(code, &member.name, format!("{error:#}"));
            one.findings.push(match crate::error::hint_of(&error) {
                Some(hint) => finding.help(hint),
                None => finding,
            });
            one.cause = Some(format!("{error:#}"));
        }
    }
    one
}

/// The findings of all databases; one that several have is listed once, with their names.
fn combined(databases: &[MemberResult]) -> Vec<Finding> {
    let mut alike: BTreeMap<String, (Finding, Vec<&str>)> = BTreeMap::new();
    for one in databases {
        for finding in &one.findings {
            let key = format!("{} {} {}", finding.code, finding.subject, finding.message);
            let (_, names) = alike
                .entry(key)
                .or_insert_with(|| (finding.clone(), Vec::new()));
            if names.last() != Some(&one.name.as_str()) {
                names.push(&one.name);
            }
        }
    }
    let told = alike.into_values().map(|(mut finding, names)| {
        if names != [finding.subject.as_str()] {
            finding.message = format!("{} (in {})", finding.message, few(&names));
        }
        finding
    });
    told.collect()
}

/// The first few names, and the number of the others.
pub(super) fn few(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

impl Report for FleetReport {
    fn command(&self) -> &'static str {
        self.command
    }

    fn human(&self, page: &mut Page) {
        const LINES: usize = 20;
        let all = count(self.databases.len(), "database", "databases");
        page.line(format!("{all} of {}", self.fleet));
        page.gap();
        let words = [
            ("clean", Tone::Good),
            ("found", Tone::Bad),
            ("half-way", Tone::Bad),
            ("interrupted", Tone::Bad),
            (FAILED, Tone::Bad),
        ];
        let mut rows = Vec::new();
        for (word, tone) in words {
            let here = self.databases.iter().filter(|one| one.outcome == word);
            let names: Vec<&str> = here.map(|one| one.name.as_str()).collect();
            if !names.is_empty() {
                rows.push(vec![
                    (tone, word.to_owned()),
                    (Tone::Plain, format!("{:>6}", names.len())),
                    (Tone::Dim, few(&names)),
                ]);
            }
        }
        page.table(&rows);
        let lines = self.databases.iter().filter_map(|one| {
            let line = (self.line)(one.report.as_ref()?)?;
            Some(format!("{}: {line}", one.name))
        });
        let lines: Vec<String> = lines.collect();
        if !lines.is_empty() {
            page.gap();
        }
        let shown = if page.verbose { lines.len() } else { LINES };
        for line in lines.iter().take(shown) {
            page.line(line);
        }
        if lines.len() > shown {
            page.toned(
                Tone::Dim,
                format!("and {} more, shown with -v", lines.len() - shown),
            );
        }
    }

    fn outcome(&self) -> Outcome {
        if self.interrupted {
            return Outcome::Interrupted;
        }
        let failed = self.databases.iter().any(|one| one.outcome == FAILED);
        let found = self.databases.iter().any(|one| one.outcome != "clean");
        if failed || found {
            return Outcome::Found;
        }
        Outcome::of(&self.findings, Severity::Error)
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
