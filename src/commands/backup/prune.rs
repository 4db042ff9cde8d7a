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

/// Flags of `backup prune`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder or URL; that of af-db.yaml, else `backups`
    #[arg(value_name = "STORE")]
    store: Option<String>,
    /// Keep the newest of so many days, weeks, months and years, such as 7d,4w,12m; else as in af-db.yaml
    #[arg(long, value_name = "RULE")]
    keep: Option<String>,
    /// Show what would be removed and remove nothing
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

/// Runs the command.
pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = store(context, args.store.as_deref())?;
    let rule = args
        .keep
        .as_ref()
        .or(context.config.file.backup.keep.as_ref())
        .ok_or_else(|| {
            fail("nothing says which archives to keep, none was removed")
                .hint("say --keep 7d,4w,12m, or set backup.keep in af-db.yaml")
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
            // Counted, it would be the newest for years and push out all others.
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
            count(removed.len(), "archive", "archives")
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

/// Reads the archives of a store; what cannot be read is not ours to remove.
fn readable(store: &Store) -> Result<(Vec<Archive>, Vec<Finding>)> {
    let (mut archives, mut findings) = (Vec::new(), Vec::new());
    for name in store.names()? {
        match store.archive(&name) {
            Ok(archive) => archives.push(archive),
            Err(error) => findings.push(Finding::warn(
                "archive-unreadable",
                name,
                format!("left alone: {error:#}"),
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
            count(self.removed.len(), "archive", "archives"),
            self.kept
        ));
    }
}
