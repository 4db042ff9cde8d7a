//! `af-db diff-rls --prove`: whether one tenant can reach another's rows.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Args;
use crate::commands::page::{Page, Tone, count};
use crate::commands::policies::{self, IsolationProof};
use crate::commands::{Context, Outcome, Purpose, Report, project};
use crate::error::fail;
use crate::finding::Finding;
use crate::pg::shadow_server;
use crate::rls::html_report;
use crate::rls::live_probe;
use crate::rls::matrix;
use crate::rls::prove::{Proof, ProofOptions};
use crate::rls::schema_copy;
use crate::rls::tenancy::Tenancy;
use crate::rls::verdict::ProbeOutcome;
use crate::shadow;

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ProofReport {
    database: String,
    scratch: String,
    leaks: usize,
    holds: usize,
    not_proven: usize,
    #[serde(flatten)]
    proof: Proof,
    #[serde(skip)]
    findings: Vec<Finding>,
}

/// Proves and shows the proof.
pub(super) async fn prove(args: &Args, context: &Context) -> Result<Outcome> {
    let config = &context.config;
    let Some(tenancy) = policies::tenancy(config, args.tenancy.as_deref())? else {
        return Err(fail("No tenancy is declared, so tenant isolation cannot be tested")
            .hint("declare it in policies/, in af-db.yaml, or in a file for --tenancy, such as tenancy: { column: tenant_id, identity: { role: app_user, setting: app.tenant_id } }")
            .into());
    };
    let options = ProofOptions {
        attempts: args.search,
        seed: args.seed,
        ..policies::options(config)?
    };
    let tried = if args.live {
        on_live(&tenancy, context).await?
    } else if args.shadow {
        on_shadow(&tenancy, &options, context).await?
    } else {
        on_copy(&tenancy, &options, context).await?
    };
    let IsolationProof { proof, findings } = tried.proven;
    write(args.html.as_deref(), || {
        html_report::html(&tried.title, &proof)
    })?;
    write(args.markdown.as_deref(), || {
        matrix::markdown(&tried.title, &proof)
    })?;
    context.show(&ProofReport {
        database: tried.database,
        scratch: tried.scratch,
        leaks: proof.count(ProbeOutcome::Leak),
        holds: proof.count(ProbeOutcome::Passed),
        not_proven: proof.count(ProbeOutcome::Inconclusive),
        findings,
        proof,
    })
}

/// What was tried, and where.
struct ProofRun {
    database: String,
    title: String,
    scratch: String,
    proven: IsolationProof,
}

/// Reads on the database itself.
async fn on_live(tenancy: &Tenancy, context: &Context) -> Result<ProofRun> {
    let (session, target) = context.open(Purpose::Reading).await?;
    let proof = live_probe::look(&session, tenancy)
        .await
        .with_context(|| format!("probing `{target}` as two tenants"))?;
    session.close().await;
    Ok(ProofRun {
        database: target.to_string(),
        title: target.database().to_owned(),
        scratch: "the database itself (read-only)".to_owned(),
        proven: IsolationProof::of(proof, tenancy),
    })
}

/// Tries on what the migrations make.
async fn on_shadow(
    tenancy: &Tenancy,
    options: &ProofOptions,
    context: &Context,
) -> Result<ProofRun> {
    let folder = project::folder(context)?;
    let scratch = context.scratch(None).await?;
    let watch = context.watch();
    let shadow = shadow::build(&scratch, "shadow", &folder.migrations, &watch).await?;
    shadow.session.close().await;
    let source_info = schema_copy::source_info(&shadow.target, tenancy, &watch).await?;
    Ok(ProofRun {
        database: "the migrations".to_owned(),
        title: "the migrations".to_owned(),
        proven: policies::prove(context, &shadow.target, tenancy, &source_info, options).await?,
        scratch: scratch.why.clone(),
    })
}

/// Tries on a copy of the database's schema.
async fn on_copy(tenancy: &Tenancy, options: &ProofOptions, context: &Context) -> Result<ProofRun> {
    let watch = context.watch();
    let (session, target) = context.open(Purpose::Reading).await?;
    let major = u32::try_from(session.server_info().major()).ok();
    session.close().await;
    let server_options = context.config.embedded(major)?;
    let scratch = shadow_server::start(&server_options, &watch)
        .await
        .with_context(|| {
            format!("nothing was tried on `{target}`: a proof needs its own shadow server")
        })?;
    let (copied, source_info) =
        schema_copy::schema(&target, &scratch, &server_options, tenancy, &watch).await?;
    Ok(ProofRun {
        database: target.to_string(),
        title: target.database().to_owned(),
        proven: policies::prove(context, &copied, tenancy, &source_info, options).await?,
        scratch: scratch.why.clone(),
    })
}

fn write(path: Option<&Path>, page: impl FnOnce() -> String) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, page()).with_context(|| format!("writing {}", path.display()))
}

/// Lays the verdicts out as rows of a table: leaks red, inconclusive yellow.
fn picture(proof: &Proof) -> Vec<Vec<(Tone, String)>> {
    let heads = ["object", "role"]
        .into_iter()
        .chain(matrix::headings())
        .chain(["other leaks"]);
    let mut rows = vec![heads.map(|head| (Tone::Strong, head.to_owned())).collect()];
    for line in matrix::lines(proof) {
        let mut row = vec![(Tone::Plain, line.object), (Tone::Plain, line.role)];
        row.extend(line.cells.iter().map(|cell| {
            let tone = match cell {
                Some(ProbeOutcome::Leak) => Tone::Bad,
                Some(ProbeOutcome::Inconclusive) => Tone::Warn,
                Some(ProbeOutcome::Passed) => Tone::Good,
                None => Tone::Dim,
            };
            (tone, matrix::word(*cell).to_owned())
        }));
        row.push((
            Tone::Bad,
            line.others.into_iter().collect::<Vec<_>>().join(", "),
        ));
        rows.push(row);
    }
    rows
}

/// Shows what policies cost, where anything was measured.
fn costs(proof: &Proof, page: &mut Page) {
    if proof.costs.is_empty() {
        return;
    }
    let heads = [
        "policy cost",
        "role",
        "index",
        "identity evaluated",
        "slowdown",
    ];
    let mut rows = vec![heads.map(|head| (Tone::Strong, head.to_owned())).to_vec()];
    rows.extend(proof.costs.iter().map(|cost| {
        let slow = |bad: bool| if bad { Tone::Warn } else { Tone::Plain };
        let index = cost.index.clone().unwrap_or_else(|| "none".to_owned());
        let asked = if cost.asked_per_row {
            "per row"
        } else {
            "per statement"
        };
        vec![
            (Tone::Plain, cost.table.clone()),
            (Tone::Plain, cost.role.clone()),
            (slow(cost.index.is_none()), index),
            (slow(cost.asked_per_row), asked.to_owned()),
            (Tone::Plain, format!("{:.1}", cost.factor)),
        ]
    }));
    page.gap();
    page.table(&rows);
}

impl Report for ProofReport {
    fn command(&self) -> &'static str {
        "diff-rls"
    }

    fn human(&self, page: &mut Page) {
        page.line(format!("{}, tried on {}", self.database, self.scratch));
        page.gap();
        let tone = if self.leaks > 0 {
            Tone::Bad
        } else {
            Tone::Good
        };
        page.toned(tone, count(self.leaks, "leak", "leaks"));
        page.line(format!(
            "{} passed, {} inconclusive",
            self.holds, self.not_proven
        ));
        page.gap();
        page.table(&picture(&self.proof));
        costs(&self.proof, page);
        for (table, why) in &self.proof.unfilled {
            page.toned(Tone::Warn, format!("no test rows for {table}: {why}"));
        }
    }

    fn outcome(&self) -> Outcome {
        if self.proof.is_clean() {
            Outcome::Clean
        } else {
            Outcome::Found
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
