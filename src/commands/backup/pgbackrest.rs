//! `af-db backup --engine pgbackrest` and `af-db backup verify --engine pgbackrest`.

use anyhow::Result;
use serde::Serialize;

use crate::backup::pgbackrest::info::Backup;
use crate::commands::archives::{EngineArgs, bytes};
use crate::commands::page::{Page, Tone};
use crate::commands::{Context, Outcome, Report};
use crate::finding::Finding;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BackupReport {
    engine: &'static str,
    stanza: String,
    backup: Backup,
}

/// Has pgBackRest make a backup.
pub(super) async fn back_up(
    args: &super::create::CreateArgs,
    context: &Context,
) -> Result<Outcome> {
    let stanza = args.engine.stanza()?;
    let watch = context.watch();
    let backup = stanza
        .backup(&args.kind, &watch, &context.interrupt)
        .await?;
    context.show(&BackupReport {
        engine: "pgbackrest",
        stanza: stanza.name,
        backup,
    })
}

impl Report for BackupReport {
    fn command(&self) -> &'static str {
        "backup"
    }

    fn human(&self, page: &mut Page) {
        let backup = &self.backup;
        page.toned(
            Tone::Good,
            format!("pgBackRest made {} in stanza {}", backup.label, self.stanza),
        );
        page.line(format!(
            "{}: {} of a cluster of {}",
            backup.kind,
            bytes(backup.stored),
            bytes(backup.size)
        ));
        page.line("check all of it: af-db backup verify --engine pgbackrest");
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct VerifyReport {
    engine: &'static str,
    stanza: String,
    backups: Vec<Backup>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Log files that make one logical file when each has the usual 16 MB.
const SEGMENTS: u64 = 256;

/// Has pgBackRest read all of its repository, and judges what it says.
pub(super) async fn verify(args: &EngineArgs, context: &Context) -> Result<Outcome> {
    let stanza = args.stanza()?;
    context.terminal.tell(crate::event::Event::Info(
        "pgBackRest is reading its repository",
    ));
    let findings = stanza.verify(SEGMENTS).await?;
    context.show(&VerifyReport {
        engine: "pgbackrest",
        backups: stanza.info().await?.backups,
        stanza: stanza.name,
        findings,
    })
}

impl Report for VerifyReport {
    fn command(&self) -> &'static str {
        "backup verify"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn human(&self, page: &mut Page) {
        if self.findings.is_empty() {
            page.toned(
                Tone::Good,
                format!(
                    "stanza {}: {} backups whole, no hole in the log",
                    self.stanza,
                    self.backups.len()
                ),
            );
        }
    }
}
