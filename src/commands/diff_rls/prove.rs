//! `af-db diff-rls --prove`: whether one tenant can reach another's rows.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::commands::page::{Page, Tone, count};
use crate::commands::{Context, Outcome, Purpose, Report};
use crate::error::fail;
use crate::finding::Finding;
use crate::pg::scratch;
use crate::rls::copy;
use crate::rls::matrix;
use crate::rls::prove::{self, Proof};
use crate::rls::tenancy::Tenancy;
use crate::rls::verdict::{Verdict, Word};

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
pub(super) async fn prove(
    path: Option<&Path>,
    (html, markdown): (Option<&Path>, Option<&Path>),
    context: &Context,
) -> Result<Outcome> {
    let Some(path) = path else {
        return Err(fail("nothing says how tenants are told apart")
            .hint("give --tenancy FILE with a `tenancy:` block")
            .into());
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {shown}"))?;
    let tenancy = Tenancy::parse(&shown, &text)?;
    let watch = context.watch();
    let (session, target) = context.open(Purpose::Reading).await?;
    let major = u32::try_from(session.facts().major()).ok();
    session.close().await;
    let options = context.config.embedded(major)?;
    let scratch = scratch::start(&options, &watch).await.with_context(|| {
        format!("nothing was tried on `{target}`: a proof needs a scratch server of its own")
    })?;
    let grounds = copy::grounds(&target, &tenancy, &watch).await?;
    let copied = copy::schema(&target, &scratch, &options, &watch).await?;
    let proof = prove::prove(&copied, &tenancy, &grounds, &watch).await?;
    write(html, || matrix::html(target.database(), &proof))?;
    write(markdown, || matrix::markdown(target.database(), &proof))?;
    context.show(&ProofReport {
        database: target.to_string(),
        scratch: scratch.why.clone(),
        leaks: proof.count(Word::Leak),
        holds: proof.count(Word::Holds),
        not_proven: proof.count(Word::NotProven),
        findings: findings(&proof, &tenancy),
        proof,
    })
}

fn write(path: Option<&Path>, page: impl FnOnce() -> String) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, page()).with_context(|| format!("writing {}", path.display()))
}

fn findings(proof: &Proof, tenancy: &Tenancy) -> Vec<Finding> {
    let mut findings: Vec<Finding> = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict != Word::Holds)
        .map(finding)
        .collect();
    findings.extend(tenancy.unknown.iter().map(|key| {
        Finding::warn(
            "rls-unknown-key",
            format!("tenancy.{key}"),
            format!("`{key}` in the tenancy means nothing to us and was left out"),
        )
    }));
    findings
}

fn finding(verdict: &Verdict) -> Finding {
    let code = verdict.class.as_deref().map_or_else(
        || "rls-not-proven".to_owned(),
        |class| format!("rls-{class}"),
    );
    let message = match verdict.verdict {
        Word::Leak => format!(
            "{} as {} ({}) reaches another tenant: {}",
            verdict.command, verdict.role, verdict.identity, verdict.why
        ),
        _ => format!(
            "{} as {} is not proven: {}",
            verdict.command, verdict.role, verdict.why
        ),
    };
    let mut finding = Finding::new(verdict.as_severity(), code, verdict.object.clone(), message);
    finding.detail = verdict.reproduce.clone();
    finding
}

/// Lays the verdicts out as rows of a table: what leaks is red, what nobody could try is yellow.
fn picture(proof: &Proof) -> Vec<Vec<(Tone, String)>> {
    let heads = ["object", "role"]
        .into_iter()
        .chain(matrix::columns())
        .chain(["other leaks"]);
    let mut rows = vec![heads.map(|head| (Tone::Strong, head.to_owned())).collect()];
    for line in matrix::lines(proof) {
        let mut row = vec![(Tone::Plain, line.object), (Tone::Plain, line.role)];
        row.extend(line.cells.iter().map(|cell| {
            let tone = match cell {
                Some(Word::Leak) => Tone::Bad,
                Some(Word::NotProven) => Tone::Warn,
                Some(Word::Holds) => Tone::Good,
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
            "{} hold, {} not proven",
            self.holds, self.not_proven
        ));
        page.gap();
        page.table(&picture(&self.proof));
        for (table, why) in &self.proof.unfilled {
            page.toned(
                Tone::Warn,
                format!("no rows could be made for {table}: {why}"),
            );
        }
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }
}
