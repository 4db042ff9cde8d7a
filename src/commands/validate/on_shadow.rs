//! The checks on a shadow server: replay, down migrations, manifest, policies, and drift of the live database.

use anyhow::Result;
use futures_util::future::try_join3;

use super::{Args, ValidateReport, ValidationInputs, drift};
use crate::catalog::{Catalog, Scope, read};
use crate::commands::Context;
use crate::commands::page::count;
use crate::commands::policies::{self, IsolationProof};
use crate::diff;
use crate::diff::report::{self, Sides};
use crate::event::Watch;
use crate::finding::{Finding, Severity};
use crate::manifest::normalize::{self, NormalizedManifest};
use crate::manifest::{self, Manifest};
use crate::migrate::files::MigrationFolder;
use crate::pg::shadow_server::ShadowServer;
use crate::rls::compare::Comparison;
use crate::shadow::{self, Shadow, rollback};

/// The results on the shadow database: the comparison of its policies and the probes of tenant isolation.
struct ShadowResults {
    compared: Option<Comparison>,
    proven: Option<IsolationProof>,
}

pub(super) async fn check(
    args: &Args,
    context: &Context,
    inputs: &ValidationInputs,
    scratch: &ShadowServer,
    report: &mut ValidateReport,
) -> Result<()> {
    let watch = context.watch();
    let folder = &inputs.folder;
    let (shadow, catalog) = match replay(folder, scratch, report, &watch).await? {
        Some((shadow, catalog)) => (Some(shadow), Some(catalog)),
        None => (None, None),
    };
    let tries_down = shadow.is_some() && !args.skip_rollback;
    let down = async {
        match tries_down {
            true => down_migrations(folder, scratch, &watch).await,
            false => Ok(None),
        }
    };
    let settled = settle(inputs, scratch, &watch);
    let on_shadow = on_shadow(args, context, inputs, shadow);
    // Each uses databases of its own, so they can run concurrently.
    let (down, settled, on_shadow) = if shadow::keep_to_themselves(&folder.migrations) {
        try_join3(down, settled, on_shadow).await?
    } else {
        (down.await?, settled.await?, on_shadow.await?)
    };
    if let Some((words, findings)) = down {
        report.add("ways down", words, findings);
    }
    if let Some(settled) = &settled {
        let schema = catalog
            .as_ref()
            .map(|catalog| catalog.only(&context.config.schemas()));
        check_manifest(&inputs.manifest, settled, schema.as_ref(), report);
    }
    if let Some(compared) = on_shadow.compared {
        let words = format!(
            "{} compared with the migrations",
            count(compared.policies, "policy", "policies")
        );
        report.add("policies", words, compared.findings);
    }
    if let Some(live) = &inputs.live {
        let declared = drift::DriftInputs {
            folder,
            manifest: &inputs.manifest,
            replayed: catalog.as_ref(),
            settled: settled.as_ref(),
        };
        let found = drift::find(args.strict, live, &declared, scratch, &watch).await?;
        report.add("drift", found.words, found.findings);
    }
    if let Some(proven) = on_shadow.proven {
        report.add("isolation", proven.words(), proven.findings);
    }
    Ok(())
}

/// Normalizes the manifest, where there is one.
async fn settle(
    inputs: &ValidationInputs,
    scratch: &ShadowServer,
    watch: Watch<'_>,
) -> Result<Option<NormalizedManifest>> {
    if inputs.manifest.is_empty() {
        return Ok(None);
    }
    let database = shadow::empty(scratch, "manifest", &inputs.folder.migrations).await?;
    let scope = Scope::whole();
    let settled = normalize::normalize(&inputs.manifest, &database.session, &scope, watch).await?;
    Ok(Some(settled))
}

/// Compares the policies with the shadow database and probes tenant isolation there; uses up the shadow database.
async fn on_shadow(
    args: &Args,
    context: &Context,
    inputs: &ValidationInputs,
    shadow: Option<Shadow>,
) -> Result<ShadowResults> {
    let mut found = ShadowResults {
        compared: None,
        proven: None,
    };
    let Some(shadow) = shadow else {
        return Ok(found);
    };
    if !inputs.declared.is_empty() {
        let declared = &inputs.declared;
        found.compared = Some(policies::compare(&shadow.session, declared, &context.config).await?);
    }
    if !args.skip_proof {
        shadow.session.close().await;
        found.proven = policies::proven(context, &shadow.target).await?;
    }
    Ok(found)
}

/// Replays the migrations; none if one fails, which is a finding.
async fn replay(
    folder: &MigrationFolder,
    scratch: &ShadowServer,
    report: &mut ValidateReport,
    watch: Watch<'_>,
) -> Result<Option<(Shadow, Catalog)>> {
    let shadow = match shadow::build(scratch, "shadow", &folder.migrations, watch).await {
        Ok(shadow) => shadow,
        Err(error) => {
            let finding = Finding::error("shadow-replay", "migrations", error.to_string());
            let hint = crate::error::hint_of(&error).map(str::to_owned);
            let finding = hint.map_or(finding.clone(), |hint| finding.help(hint));
            report.add("replay", "failed", vec![finding]);
            return Ok(None);
        }
    };
    let replayed = read::read(&shadow.session, &super::with_roles()).await?;
    let words = format!(
        "{} on a shadow server",
        count(replayed.objects.len(), "object", "objects")
    );
    report.add("replay", words, Vec::new());
    Ok(Some((shadow, replayed)))
}

async fn down_migrations(
    folder: &MigrationFolder,
    scratch: &ShadowServer,
    watch: Watch<'_>,
) -> Result<Option<(String, Vec<Finding>)>> {
    // The newest migrations that have a down migration and are not marked as irreversible.
    let has_down = |migration: &&crate::migrate::files::Migration| {
        migration.down.is_some() && migration.directives.irreversible.is_none()
    };
    let length = folder.migrations.iter().rev().take_while(has_down).count();
    let (base, range) = folder.migrations.split_at(folder.migrations.len() - length);
    if range.is_empty() {
        return Ok(None);
    }
    let findings = rollback::prove(scratch, base, range, watch).await?;
    let words = format!("{} tested", count(length, "migration", "migrations"));
    Ok(Some((words, findings)))
}

fn check_manifest(
    manifest: &Manifest,
    settled: &NormalizedManifest,
    replayed: Option<&Catalog>,
    report: &mut ValidateReport,
) {
    let mut findings = settled.findings.clone();
    let refused = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    let Some(replayed) = replayed else {
        report.add("manifest", "normalized", findings);
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
            match settled.location_of(&change.key, change.parent.as_ref()) {
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
            &settled.locations,
        ));
    }
    report.add(
        "manifest",
        "normalized and compared with the migrations",
        findings,
    );
}
