//! Runs the lint rules over the project's migrations, with its configured severities and baseline.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::commands::Context;
use crate::disk;
use crate::error::fail;
use crate::finding::{Finding, Severity, worst};
use crate::lint::Source;
use crate::lint::baseline::Baseline;
use crate::lint::check::{self, LintOptions, SeverityOverride};
use crate::migrate::directive::Directives;
use crate::migrate::files::{MigrationFile, MigrationFolder};
use crate::pg::program::Program;
use crate::plan::observe::impact::Thresholds;

/// The findings of the lint rules.
pub(crate) struct Linted {
    pub(crate) findings: Vec<Finding>,
    /// The findings before the baseline is applied.
    pub(crate) all: Vec<Finding>,
    pub(crate) allowed: usize,
    pub(crate) fails: bool,
}

/// What to check.
#[derive(Clone, Copy, Default)]
pub(crate) struct LintRequest<'a> {
    /// The major version of the server, where known.
    pub(crate) major: Option<u32>,
    /// The only files to check; the others are only read for the objects they create.
    pub(crate) changed: Option<&'a BTreeSet<String>>,
    /// Whether the baseline will be written, so that it need not exist.
    pub(crate) writing: bool,
}

/// Runs the rules over every file in order, each down migration after its migration.
pub(crate) fn lint(
    context: &Context,
    folder: &MigrationFolder,
    request: LintRequest<'_>,
) -> Result<Linted> {
    let settings = &context.config.file.lint;
    let mut sources = Vec::new();
    for migration in &folder.migrations {
        sources.push(source(&migration.up, &migration.directives, false));
        if let Some(down) = &migration.down {
            sources.push(source(down, &migration.down_directives, true));
        }
    }
    if let Some(changed) = request.changed {
        for source in &mut sources {
            source.checked = changed.contains(source.path);
        }
    }
    let options = LintOptions {
        major: request.major.or(context.config.file.postgres_major),
        overrides: overrides(context)?,
        today: chrono::Utc::now().date_naive(),
    };
    let report = check::check(&sources, &options);
    let all = report.findings.clone();
    let there = |path: &&String| !request.writing || context.config.root.join(path).exists();
    let findings = match settings.baseline.as_ref().filter(there) {
        Some(path) => {
            let mut findings = baseline(context, path)?.apply(report.findings, path);
            if request.changed.is_some() {
                // Files that were not checked may still have the finding.
                findings.retain(|finding| finding.code != "baseline-gone");
            }
            findings
        }
        None => report.findings,
    };
    Ok(Linted {
        fails: fails(context, &findings)?,
        findings,
        all,
        allowed: report.allowed.len(),
    })
}

/// A file as input of the rules; layouts of other tools mark down migrations and transactions in their own way.
fn source<'a>(script: &'a MigrationFile, directives: &Directives, down: bool) -> Source<'a> {
    Source {
        down,
        in_transaction: !directives.no_transaction,
        ..Source::new(&script.shown, &script.text)
    }
}

/// Whether findings reach lint.fail-on.
pub(crate) fn fails(context: &Context, findings: &[Finding]) -> Result<bool> {
    reaches(context.config.file.lint.fail_on.as_deref(), findings)
}

/// Whether findings reach this severity: `error` (the default), `warn` or `never`.
pub(crate) fn reaches(word: Option<&str>, findings: &[Finding]) -> Result<bool> {
    let threshold = threshold(word)?;
    Ok(fails_at_all(word) && worst(findings) >= Some(threshold))
}

/// The configured severities: by rule, then for some files, tables or environments.
fn overrides(context: &Context) -> Result<Vec<SeverityOverride>> {
    let settings = &context.config.file.lint;
    let environment = context.config.database.environment();
    let mut overrides = Vec::new();
    for (rule, word) in &settings.rules {
        overrides.push(
            check::severity_override(rule, word).context("reading lint.rules of af-db.yaml")?,
        );
    }
    for one in &settings.overrides {
        let level = check::severity_override(&one.rule, &one.severity)
            .context("reading lint.overrides of af-db.yaml")?;
        if one
            .environment
            .as_ref()
            .is_none_or(|wanted| wanted == environment)
        {
            overrides.push(SeverityOverride {
                path: one.path.clone(),
                table: one.table.clone(),
                ..level
            });
        }
    }
    Ok(overrides)
}

/// The table sizes from which work under a blocking lock is a finding.
pub(crate) fn thresholds(context: &Context) -> Thresholds {
    let settings = &context.config.file.lint.thresholds;
    let usual = Thresholds::default();
    Thresholds {
        warn_bytes: settings.warn_bytes.unwrap_or(usual.warn_bytes),
        error_bytes: settings.error_bytes.unwrap_or(usual.error_bytes),
        error_writes: settings.error_writes.unwrap_or(usual.error_writes),
    }
}

/// The files that differ from the merge base with another branch, including untracked ones.
pub(crate) async fn changed(context: &Context, base: &str) -> Result<BTreeSet<String>> {
    if base.starts_with('-') {
        return Err(fail(format!("`{base}` is not a commit"))
            .hint("Name a branch, such as origin/main")
            .into());
    }
    let parting = git(context, &["merge-base", base, "HEAD"], base).await?;
    let parting = parting.trim();
    let differs = git(
        context,
        &["diff", "--name-only", "--relative", "-z", parting],
        base,
    )
    .await?;
    let unknown = git(
        context,
        &["ls-files", "--others", "--exclude-standard", "-z"],
        base,
    )
    .await?;
    let names = differs.split('\0').chain(unknown.split('\0'));
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

async fn git(context: &Context, arguments: &[&str], base: &str) -> Result<String> {
    let env = &context.config.env;
    let done = Program::new("git")
        .args(arguments)
        .env("PATH", env.get("PATH").unwrap_or_default())
        .env("HOME", env.get("HOME").unwrap_or_default())
        .directory(&context.config.root)
        .run()
        .await
        .context("running git")?;
    if done.status.success() {
        return Ok(done.text());
    }
    let said = done.stderr.lines().next().unwrap_or_default().to_owned();
    Err(fail(format!(
        "git cannot list the changes since `{base}`: {said}"
    ))
    .hint("Fetch that branch first; in CI, check out the full history (fetch-depth: 0)")
    .into())
}

fn baseline(context: &Context, path: &str) -> Result<Baseline> {
    let there = disk::read_text_if_there(&context.config.root.join(path), path)?;
    let text = there.ok_or_else(|| {
        fail(format!("the baseline `{path}` does not exist"))
            .hint("Create it: af-db validate --offline --write-baseline")
    })?;
    Baseline::parse(&text).with_context(|| format!("reading {path}"))
}

/// Writes the current findings as the baseline.
pub(crate) fn write_baseline(context: &Context, findings: &[Finding]) -> Result<String> {
    let Some(path) = &context.config.file.lint.baseline else {
        return Err(fail("no baseline is configured; nothing was written")
            .hint("Set lint.baseline in af-db.yaml, such as lint-baseline.json")
            .into());
    };
    let file = context.config.root.join(path);
    // A baseline only shrinks: new findings are fixed, or allowed in the file.
    let written = if file.exists() {
        baseline(context, path)?.shrunk(findings)
    } else {
        Baseline::of(findings)
    };
    std::fs::write(file, written.print()?).with_context(|| format!("writing {path}"))?;
    Ok(path.clone())
}

fn fails_at_all(word: Option<&str>) -> bool {
    word != Some("never")
}

fn threshold(word: Option<&str>) -> Result<Severity> {
    match word {
        None | Some("error" | "never") => Ok(Severity::Error),
        Some("warn") => Ok(Severity::Warn),
        Some(other) => Err(fail(format!("lint.fail-on cannot be `{other}`"))
            .hint("use error, warn or never")
            .into()),
    }
}
