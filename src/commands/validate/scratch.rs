//! Judges on a scratch server: the replay, the ways down, the manifest, the policies; and drift where there is a live one.

use anyhow::Result;

use super::{Args, Gathered, ValidateReport, drift};
use crate::catalog::{Catalog, Scope, read};
use crate::commands::page::count;
use crate::commands::{Context, policies};
use crate::diff;
use crate::diff::report::{self, Sides};
use crate::event::Watch;
use crate::finding::{Finding, Severity};
use crate::manifest::settle::{self, Settled};
use crate::manifest::{self, Manifest};
use crate::migrate::files::Folder;
use crate::pg::scratch::Scratch;
use crate::shadow::{self, Shadow, rollback};

pub(super) async fn judge(
    args: &Args,
    context: &Context,
    gathered: &Gathered,
    scratch: &Scratch,
    report: &mut ValidateReport,
) -> Result<()> {
    let watch = context.watch();
    let folder = &gathered.folder;
    let replayed = replay(folder, scratch, report, &watch).await?;
    if replayed.is_some() && !args.skip_rollback {
        ways_down(folder, scratch, report, &watch).await?;
    }
    let mut settled = None;
    if !gathered.manifest.is_empty() {
        let database = shadow::empty(scratch, "manifest", &folder.migrations).await?;
        let scope = Scope::whole();
        settled =
            Some(settle::settle(&gathered.manifest, &database.session, &scope, &watch).await?);
    }
    let schema = replayed.as_ref().map(|(_, catalog)| catalog);
    if let Some(settled) = &settled {
        let schema = schema.map(|schema| schema.only(&context.config.schemas()));
        judge_manifest(&gathered.manifest, settled, schema.as_ref(), report);
    }
    if let (Some((shadow, _)), false) = (&replayed, gathered.declared.is_empty()) {
        let compared =
            policies::compare(&shadow.session, &gathered.declared, &context.config).await?;
        let words = format!(
            "{} compared with the migrations",
            count(compared.policies, "policy", "policies")
        );
        report.add("policies", words, compared.findings);
    }
    if let Some(live) = &gathered.live {
        let declared = drift::Declared {
            folder,
            manifest: &gathered.manifest,
            replayed: schema,
            settled: settled.as_ref(),
        };
        let found = drift::find(args.strict, live, &declared, scratch, &watch).await?;
        report.add("drift", found.words, found.findings);
    }
    if let (Some((shadow, _)), false) = (replayed, args.skip_proof) {
        isolation(context, shadow, report).await?;
    }
    Ok(())
}

/// Tries to reach another tenant's rows on the shadow, which nobody needs any more.
async fn isolation(context: &Context, shadow: Shadow, report: &mut ValidateReport) -> Result<()> {
    shadow.session.close().await;
    let Some(proven) = policies::proven(context, &shadow.target).await? else {
        return Ok(());
    };
    report.add("isolation", proven.words(), proven.findings);
    Ok(())
}

/// Replays the migrations; none when they do not run here, which says nothing about the rest.
async fn replay(
    folder: &Folder,
    scratch: &Scratch,
    report: &mut ValidateReport,
    watch: Watch<'_>,
) -> Result<Option<(Shadow, Catalog)>> {
    let shadow = match shadow::build(scratch, "shadow", &folder.migrations, watch).await {
        Ok(shadow) => shadow,
        Err(error) => {
            let finding = Finding::error("shadow-replay", "migrations", error.to_string());
            let hint = crate::error::hint_of(&error).map(str::to_owned);
            let finding = hint.map_or(finding.clone(), |hint| finding.help(hint));
            report.add("replay", "stopped", vec![finding]);
            return Ok(None);
        }
    };
    let replayed = read::read(&shadow.session, &super::with_roles()).await?;
    let words = format!(
        "{} on a scratch server",
        count(replayed.objects.len(), "object", "objects")
    );
    report.add("replay", words, Vec::new());
    Ok(Some((shadow, replayed)))
}

async fn ways_down(
    folder: &Folder,
    scratch: &Scratch,
    report: &mut ValidateReport,
    watch: Watch<'_>,
) -> Result<()> {
    // From the newest down to the first that has no way back, or says that it has none.
    let walkable = |migration: &&crate::migrate::files::Migration| {
        migration.down.is_some() && migration.directives.irreversible.is_none()
    };
    let length = folder.migrations.iter().rev().take_while(walkable).count();
    let (base, range) = folder.migrations.split_at(folder.migrations.len() - length);
    if range.is_empty() {
        return Ok(());
    }
    let findings = rollback::prove(scratch, base, range, watch).await?;
    report.add(
        "ways down",
        format!("{} tried", count(length, "migration", "migrations")),
        findings,
    );
    Ok(())
}

fn judge_manifest(
    manifest: &Manifest,
    settled: &Settled,
    replayed: Option<&Catalog>,
    report: &mut ValidateReport,
) {
    let mut findings = settled.findings.clone();
    let refused = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    let Some(replayed) = replayed else {
        report.add("manifest", "settled", findings);
        return;
    };
    if findings.is_empty() && manifest.tables().next().is_some() {
        let pair = manifest::compare::comparable(manifest, &settled.catalog, replayed);
        let changes = diff::between(&pair.actual, &pair.declared);
        let sides = Sides {
            code: "manifest-differs",
            severity: Severity::Error,
            before: "the migrations",
            after: "the manifest",
        };
        findings.extend(diff::outermost(&changes).into_iter().map(|change| {
            let finding = report::finding(change, &sides);
            match settled.place_of(&change.key, change.parent.as_ref()) {
                Some(place) => finding.place(place),
                None => finding,
            }
        }));
    }
    if let Some((file, rules)) = manifest.rules().filter(|_| !refused) {
        findings.extend(manifest::rules::check(
            rules,
            file,
            replayed,
            &settled.places,
        ));
    }
    report.add(
        "manifest",
        "settled and compared with the migrations",
        findings,
    );
}
