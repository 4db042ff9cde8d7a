//! `af-db backup prune`.

use anyhow::Result;
use chrono::Utc;
use serde::Serialize;

use crate::backup::archive::Archive;
use crate::backup::identity::{self, Lineages};
use crate::backup::prune::{PruneCandidate, RetentionPolicy, decide};
use crate::backup::store::Store;
use crate::backup::verification;
use crate::commands::archives::store;
use crate::commands::page::{Page, count};
use crate::commands::{Context, Outcome, Report};
use crate::error::fail;
use crate::finding::Finding;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Folder or URL [default: backup.store, else ./backups]
    #[arg(value_name = "STORE")]
    store: Option<String>,
    /// Retention rule, such as 7d,4w,12m [default: backup.keep]
    #[arg(long, value_name = "RULE")]
    keep: Option<String>,
    /// List the backups that would be removed without removing them
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PruneReport {
    store: String,
    kept: usize,
    removed: Vec<String>,
    dry_run: bool,
    #[serde(skip)]
    findings: Vec<Finding>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = store(context, args.store.as_deref())?;
    let rule = args
        .keep
        .as_ref()
        .or(context.config.file.backup.keep.as_ref())
        .ok_or_else(|| {
            fail("no retention rule given; no backup was removed")
                .hint("give --keep 7d,4w,12m, or set backup.keep in af-db.yaml")
        })?;
    let keep = RetentionPolicy::parse(rule)?;
    let (archives, mut findings) = readable(&store)?;
    let groups = Lineages::read(&store, &archives)?.groups(&archives);
    let mut candidates = Vec::new();
    for (archive, database) in archives.iter().zip(groups) {
        let started = archive.begun();
        match started.filter(|_| !identity::is_from_the_future(archive, Utc::now())) {
            Some(started) => candidates.push(PruneCandidate {
                is_verified: verification::read(&store, &archive.name).is_some(),
                part: archive.scope.part(),
                name: archive.name.clone(),
                database,
                started,
            }),
            // Counted, a backup from the future would be the newest for years and displace all others.
            None => findings.push(identity::future_finding(archive)),
        }
    }
    let mut removed = decide(&candidates, keep);
    let staying = archives.iter().filter(|one| !removed.contains(&one.name));
    let staying: Vec<Archive> = staying.cloned().collect();
    removed.retain(|name| !identity::is_only_succession_record(&store, name, &staying));
    let kept = candidates.len() - removed.len();
    removed.extend(store.leftovers()?);
    if !args.dry_run && !removed.is_empty() {
        context.confirm(&format!(
            "remove {}?",
            count(removed.len(), "backup", "backups")
        ))?;
        for name in &removed {
            store.remove(name)?;
        }
    }
    context.show(&PruneReport {
        store: store.shown(),
        kept,
        removed,
        dry_run: args.dry_run,
        findings,
    })
}

/// Returns the readable archives; unreadable ones become findings and are never removed.
fn readable(store: &Store) -> Result<(Vec<Archive>, Vec<Finding>)> {
    let (mut archives, mut findings) = (Vec::new(), Vec::new());
    for name in store.names()? {
        match store.archive(&name) {
            Ok(archive) => archives.push(archive),
            Err(error) => findings.push(Finding::warn(
                "archive-unreadable",
                name,
                format!("not removed: {error:#}"),
            )),
        }
    }
    Ok((archives, findings))
}

impl Report for PruneReport {
    fn command(&self) -> &'static str {
        "backup prune"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn human(&self, page: &mut Page) {
        let word = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        for name in &self.removed {
            page.line(format!("{word} {name}"));
        }
        page.line(format!(
            "{word} {}, {} kept",
            count(self.removed.len(), "backup", "backups"),
            self.kept
        ));
    }
}
