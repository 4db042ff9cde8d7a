//! `af-db explain`: why a rule or an exit status exists, what is safe instead, and an example of each.

use anyhow::Result;
use serde::Serialize;

use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Report};
use crate::error::fail;
use crate::lint::rule::Rule;
use crate::lint::rules;

/// Flags of `explain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Code or name of a lint rule, such as D01 or drop-table, or an exit status, such as 75 [default: list all]
    code: Option<String>,
}

/// What a status means to the script that gets it.
struct ExitStatus {
    code: u8,
    meaning: &'static str,
    then: &'static str,
}

/// Every status that af-db ends with.
const EXIT_STATUSES: [ExitStatus; 7] = [
    ExitStatus {
        code: 0,
        meaning: "The command succeeded and found nothing wrong.",
        then: "Nothing to do.",
    },
    ExitStatus {
        code: 1,
        meaning: "The command ran and found something: drift, a lint error, a failed isolation probe, or pending migrations under --check.",
        then: "Read the findings. `af-db explain CODE` explains each lint rule.",
    },
    ExitStatus {
        code: 2,
        meaning: "The command failed. The database is unchanged.",
        then: "Fix what the message names and run the command again.",
    },
    ExitStatus {
        code: 3,
        meaning: "The run stopped half-way. The migrations before the failure are applied and recorded.",
        then: "`af-db status` shows what is applied. Fix the failing file and run `af-db up` again.",
    },
    ExitStatus {
        code: 4,
        meaning: "The command was refused before it changed anything: a stale plan, a missing approval or confirmation, or a failed guard.",
        then: "Make a new plan, have it approved, or answer the question in a terminal.",
    },
    ExitStatus {
        code: 75,
        meaning: "Locks could not be acquired within the lock budget, or the run blocked other sessions for too long and was rolled back.",
        then: "Run the command again when fewer sessions hold locks; the message names who held them.",
    },
    ExitStatus {
        code: 130,
        meaning: "The command was interrupted. The running statement was cancelled and rolled back.",
        then: "Run the command again; it continues where it stopped.",
    },
];

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Explanation {
    code: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<String>,
    why: String,
    safe: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    good: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ExplainReport {
    explanations: Vec<Explanation>,
    #[serde(skip)]
    is_list: bool,
}

/// Runs the command.
pub async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let explanations = match &args.code {
        Some(code) => vec![explain(code)?],
        None => {
            let rules = rules::RULES.iter().map(|rule| of_rule(rule));
            rules.chain(EXIT_STATUSES.iter().map(of_status)).collect()
        }
    };
    context.show(&ExplainReport {
        explanations,
        is_list: args.code.is_none(),
    })
}

fn explain(code: &str) -> Result<Explanation> {
    let wanted = code.trim().to_ascii_lowercase();
    let rule = rules::RULES.iter().find(|rule| {
        rule.code.eq_ignore_ascii_case(&wanted) || rule.name.eq_ignore_ascii_case(&wanted)
    });
    if let Some(rule) = rule {
        return Ok(of_rule(rule));
    }
    let status = EXIT_STATUSES
        .iter()
        .find(|status| status.code.to_string() == wanted);
    status.map(of_status).ok_or_else(|| {
        fail(format!("`{code}` is not a lint rule or an exit status"))
            .hint("list all of them: af-db explain")
            .into()
    })
}

fn of_rule(rule: &Rule) -> Explanation {
    Explanation {
        code: rule.code.to_owned(),
        name: rule.name.to_owned(),
        severity: Some(rule.severity.word().to_owned()),
        why: rule.why.to_owned(),
        safe: rule.safe.to_owned(),
        versions: Some(rule.versions.to_owned()),
        bad: Some(rule.bad.to_owned()),
        good: Some(rule.good.to_owned()),
    }
}

fn of_status(status: &ExitStatus) -> Explanation {
    Explanation {
        code: status.code.to_string(),
        name: "exit status".to_owned(),
        severity: None,
        why: status.meaning.to_owned(),
        safe: status.then.to_owned(),
        versions: None,
        bad: None,
        good: None,
    }
}

impl Report for ExplainReport {
    fn command(&self) -> &'static str {
        "explain"
    }

    fn human(&self, page: &mut Page) {
        if self.is_list {
            let row = |one: &Explanation| {
                vec![
                    (Tone::Plain, one.code.clone()),
                    (Tone::Plain, one.name.clone()),
                    (Tone::Dim, one.severity.clone().unwrap_or_default()),
                ]
            };
            let rows: Vec<_> = self.explanations.iter().map(row).collect();
            page.table(&rows);
            return;
        }
        for one in &self.explanations {
            page.line(format!("{} {}", one.code, one.name));
            page.gap();
            page.line(&one.why);
            page.line(&one.safe);
            let labelled = [
                ("bad", &one.bad),
                ("good", &one.good),
                ("severity", &one.severity),
                ("PostgreSQL", &one.versions),
            ];
            if labelled.iter().any(|(_, text)| text.is_some()) {
                page.gap();
            }
            for (label, text) in labelled {
                if let Some(text) = text {
                    let text = text.replace('\n', "\n            ");
                    page.line(format!("{label:<10}  {text}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn every_exit_status_is_explained_once() {
        let explained: Vec<u8> = EXIT_STATUSES.iter().map(|status| status.code).collect();
        let all = [
            Exit::CannotDo,
            Exit::HalfWay,
            Exit::Refused,
            Exit::Busy,
            Exit::Interrupted,
        ];
        let mut wanted = vec![0, 1];
        wanted.extend(all.iter().map(|exit| exit.code()));
        assert_eq!(explained, wanted);
    }

    #[test]
    fn every_rule_is_found_by_code_and_by_name() {
        for rule in rules::RULES {
            assert_eq!(explain(rule.name).unwrap().code, rule.code);
            assert_eq!(explain(&rule.code.to_lowercase()).unwrap().name, rule.name);
        }
        assert!(explain("Z99").is_err());
    }
}
