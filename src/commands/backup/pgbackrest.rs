//! `af-db backup --engine pgbackrest` and `af-db backup verify --engine pgbackrest`.

use anyhow::Result;
use serde::Serialize;

use crate::backup::pgbackrest::info::Backup;
use crate::commands::archives::{EngineArgs, bytes};
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Report};
use crate::finding::Finding;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BackupReport {
    engine: &'static str,
    stanza: String,
    backup: Backup,
}

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
            format!("backup {} created in stanza {}", backup.label, self.stanza),
        );
        page.line(format!(
            "{}: {} stored, cluster size {}",
            backup.kind,
            bytes(backup.stored),
            bytes(backup.size)
        ));
        page.line("verify the repository: af-db backup verify --engine pgbackrest");
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

/// WAL segments in one logical file at the usual segment size of 16 MB.
const SEGMENTS: u64 = 256;

/// Runs `pgbackrest verify` and checks its report.
pub(super) async fn verify(args: &EngineArgs, context: &Context) -> Result<Outcome> {
    let stanza = args.stanza()?;
    context.terminal.tell(crate::event::Event::Info(
        "pgBackRest is verifying its repository",
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
                    "stanza {}: {} OK, no gaps in WAL",
                    self.stanza,
                    count(self.backups.len(), "backup", "backups")
                ),
            );
        }
    }
}
