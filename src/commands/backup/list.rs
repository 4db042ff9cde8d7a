//! `af-db backup list`.

use anyhow::Result;
use chrono::Utc;
use serde::Serialize;

use crate::backup::archive::Archive;
use crate::backup::identity;
use crate::backup::verification::{self, VerificationKind, VerificationNote};
use crate::commands::archives::{bytes, store};
use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Report};
use crate::error::hint_of;
use crate::finding::Finding;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Folder or URL [default: backup.store, else ./backups]
    #[arg(value_name = "STORE")]
    store: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ListReport {
    store: String,
    archives: Vec<ListedArchive>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ListedArchive {
    #[serde(flatten)]
    archive: Archive,
    stored_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<VerificationNote>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = store(context, args.store.as_deref())?;
    let mut report = ListReport {
        store: store.shown(),
        archives: Vec::new(),
        findings: Vec::new(),
    };
    for name in store.names()? {
        match store.archive(&name) {
            Ok(archive) => {
                if identity::is_from_the_future(&archive, Utc::now()) {
                    report.findings.push(identity::future_finding(&archive));
                }
                report.archives.push(ListedArchive {
                    stored_bytes: archive.stored_bytes(),
                    proven: verification::read(&store, &name),
                    archive,
                });
            }
            Err(error) => {
                let hint =
                    hint_of(&error).unwrap_or("make a new backup; this one cannot be trusted");
                let finding = Finding::error("archive-unreadable", name, format!("{error:#}"));
                report.findings.push(finding.help(hint));
            }
        }
    }
    report
        .archives
        .sort_by(|left, right| left.archive.started.cmp(&right.archive.started));
    context.show(&report)
}

impl Report for ListReport {
    fn command(&self) -> &'static str {
        "backup list"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn human(&self, page: &mut Page) {
        if self.archives.is_empty() {
            page.line(format!("no backups in {}", self.store));
        }
        let cell = |text: String| (Tone::Plain, text);
        let rows: Vec<_> = self
            .archives
            .iter()
            .map(|one| {
                let archive = &one.archive;
                let encrypted = if archive.is_encrypted() {
                    "encrypted"
                } else {
                    ""
                };
                let proof = match &one.proven {
                    Some(proven) if proven.how == VerificationKind::Restored => (
                        Tone::Good,
                        format!("restore-tested {}", proven.at.format("%F")),
                    ),
                    Some(proven) => (Tone::Good, format!("verified {}", proven.at.format("%F"))),
                    None => (Tone::Warn, "not verified".to_owned()),
                };
                vec![
                    cell(archive.name.clone()),
                    cell(bytes(one.stored_bytes)),
                    cell(format!("{} rows", archive.totals.rows)),
                    cell(
                        archive
                            .scope
                            .part()
                            .map_or_else(String::new, |part| format!("only {part}")),
                    ),
                    cell(encrypted.to_owned()),
                    proof,
                    cell(archive.label.clone().unwrap_or_default()),
                ]
            })
            .collect();
        page.table(&rows);
    }
}
