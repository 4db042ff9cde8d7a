//! Compares the live database with its applied migrations, or else with the manifest.

use std::borrow::Cow;

use anyhow::{Context as _, Result};

use super::LiveDatabase;
use crate::adopt::tool_history;
use crate::catalog::{Catalog, read};
use crate::commands::page::count;
use crate::diff;
use crate::diff::report::{self, Sides};
use crate::event::Watch;
use crate::finding::{Finding, Severity};
use crate::manifest::Manifest;
use crate::manifest::compare;
use crate::manifest::normalize::NormalizedManifest;
use crate::migrate::files::{Migration, MigrationFolder};
use crate::pg::shadow_server::ShadowServer;
use crate::shadow;
use crate::shadow::object_origin::Origins;

/// The declared schemas.
pub(super) struct DriftInputs<'a> {
    pub(super) folder: &'a MigrationFolder,
    pub(super) manifest: &'a Manifest,
    /// The result of all migrations; none if the replay failed.
    pub(super) replayed: Option<&'a Catalog>,
    pub(super) settled: Option<&'a NormalizedManifest>,
}

/// The result of the comparison.
pub(super) struct DriftResult {
    pub(super) words: String,
    pub(super) findings: Vec<Finding>,
}

/// The expected schema with its name.
struct ExpectedSchema<'a> {
    catalog: Cow<'a, Catalog>,
    called: &'static str,
}

pub(super) async fn find(
    strict: bool,
    live: &LiveDatabase,
    declared: &DriftInputs<'_>,
    scratch: &ShadowServer,
    watch: Watch<'_>,
) -> Result<DriftResult> {
    let Some(expected) = expected(live, declared, scratch, watch).await? else {
        return Ok(DriftResult {
            words: "skipped: neither the migrations nor the manifest could be loaded".to_owned(),
            findings: Vec::new(),
        });
    };
    let actual = read::read(&live.session, &super::with_roles())
        .await
        .context("reading the live schema")?;
    // History tables of other tools are not created by the migrations.
    let histories = tool_history::find_history_tables(&live.session, None).await?;
    let actual = tool_history::without(&actual, &histories);
    let (before, after) = compare::common_roles(&expected.catalog, &actual);
    // Owners, and the order in which roles were created, differ between servers.
    let (before, after) = (before.without_owners(), after.without_owners());
    let (before, after) = match expected.called {
        MANIFEST => {
            let pair = compare::comparable(declared.manifest, &before, &after);
            (pair.declared, pair.actual)
        }
        _ => (before, after),
    };
    let changes = diff::between(&before, &after);
    let sides = Sides {
        code: "drift",
        severity: Severity::Error,
        before: expected.called,
        after: "the live database",
    };
    let origins = (!changes.is_empty()).then(|| Origins::of(&declared.folder.migrations));
    let mut findings: Vec<Finding> = Vec::new();
    for change in diff::outermost(&changes) {
        let mut finding = report::finding(change, &sides);
        let parent = change.parent.as_ref();
        let in_manifest = declared
            .settled
            .and_then(|settled| settled.location_of(&change.key, parent));
        let in_migration = origins
            .as_ref()
            .and_then(|origins| origins.find(&change.key, parent));
        for place in in_manifest.into_iter().chain(in_migration) {
            finding = match finding.place {
                None => finding.place(place),
                Some(_) => finding.also(place),
            };
        }
        findings.push(finding);
    }
    findings.extend(not_compared(strict, &actual));
    let objects = count(actual.objects.len(), "object", "objects");
    Ok(DriftResult {
        words: format!("{objects} compared with {}", expected.called),
        findings,
    })
}

const MIGRATIONS: &str = "the migrations";
const MANIFEST: &str = "the manifest";

/// The expected schema: the result of the migrations that the history records as applied.
async fn expected<'a>(
    live: &LiveDatabase,
    declared: &DriftInputs<'a>,
    scratch: &ShadowServer,
    watch: Watch<'_>,
) -> Result<Option<ExpectedSchema<'a>>> {
    let Some(replayed) = declared.replayed else {
        let settled = declared
            .settled
            .filter(|settled| settled.findings.is_empty());
        return Ok(settled.map(|settled| ExpectedSchema {
            catalog: Cow::Borrowed(&settled.catalog),
            called: MANIFEST,
        }));
    };
    let all = &declared.folder.migrations;
    let is_applied = |migration: &&Migration| live.records.history.row(migration.version).is_some();
    let applied: Vec<Migration> = all.iter().filter(is_applied).cloned().collect();
    let catalog = if applied.len() == all.len() {
        Cow::Borrowed(replayed)
    } else {
        let shadow = shadow::build(scratch, "applied", &applied, watch).await?;
        Cow::Owned(read::read(&shadow.session, &super::with_roles()).await?)
    };
    Ok(Some(ExpectedSchema {
        catalog,
        called: MIGRATIONS,
    }))
}

/// Lists the objects that could not be compared.
fn not_compared(strict: bool, actual: &Catalog) -> Vec<Finding> {
    let severity = if strict {
        Severity::Error
    } else {
        Severity::Warn
    };
    let finding =
        |code: &str, what: &String| Finding::new(severity, code, "the live database", what.clone());
    let unseen = actual
        .unseen
        .iter()
        .map(|what| finding("drift-unseen", what));
    let unmodelled = actual
        .unmodelled
        .iter()
        .map(|what| finding("drift-not-modelled", what).help("Compare it manually"));
    unseen.chain(unmodelled).collect()
}
