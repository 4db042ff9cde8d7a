//! `af-db backup verify`.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::backup::unpack::{self, ArchiveSource};
use crate::backup::verification::{self, VerificationKind};
use crate::commands::archives::{EngineArgs, choose, identities};
use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Report};
use crate::finding::Finding;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Backup name, path or URL, or `latest`
    #[arg(value_name = "ARCHIVE", default_value = "latest")]
    archive: String,
    /// Folder or URL of the store [default: backup.store, else ./backups]
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// Decrypt with this age identity file; repeatable
    #[arg(long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct VerifyReport {
    archive: String,
    files: usize,
    rows: u64,
    /// Whether the contents were read, not only the checksums.
    read: bool,
    #[serde(skip)]
    findings: Vec<Finding>,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let chosen = choose(context, args.from.as_deref(), &args.archive).await?;
    let (store, name) = (chosen.store, chosen.name);
    let identities = identities(&args.identities)?;
    let source = ArchiveSource {
        store: &store,
        name: &name,
        identities: &identities,
    };
    let verified = unpack::verify(&source, &context.watch(), &context.interrupt).await?;
    let read = verified.contents.is_some();
    let noted = read.then(|| verification::note(&store, &name, VerificationKind::Read, None));
    context.show(&VerifyReport {
        archive: name,
        files: verified.archive.files.len(),
        rows: verified.archive.totals.rows,
        read,
        findings: noted.flatten().into_iter().collect(),
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
        let files = count(self.files, "file", "files");
        page.toned(Tone::Good, format!("{}: {files} OK", self.archive));
        if self.read {
            page.line(format!("{} rows match the recorded row hashes", self.rows));
        } else {
            page.toned(
                Tone::Warn,
                "contents not read (encrypted); read them with --identity FILE",
            );
        }
    }
}
