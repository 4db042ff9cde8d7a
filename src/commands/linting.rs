//! Owns running the rules over the project's migrations, with the house's own severities and baseline.

use anyhow::{Context as _, Result};

use crate::commands::Context;
use crate::error::fail;
use crate::finding::{Finding, Severity, worst};
use crate::lint::Source;
use crate::lint::baseline::Baseline;
use crate::lint::judge::{self, Options};
use crate::migrate::directive::Directives;
use crate::migrate::files::{Folder, Script};

/// What the rules found and whether it fails the run.
pub(crate) struct Linted {
    pub(crate) findings: Vec<Finding>,
    pub(crate) allowed: usize,
    pub(crate) fails: bool,
}

/// Runs the rules over every file, in order, each way down behind its way up.
pub(crate) fn lint(context: &Context, folder: &Folder, major: Option<u32>) -> Result<Linted> {
    let settings = &context.config.file.lint;
    let mut sources = Vec::new();
    for migration in &folder.migrations {
        sources.push(source(&migration.up, &migration.directives, false));
        if let Some(down) = &migration.down {
            sources.push(source(down, &migration.down_directives, true));
        }
    }
    let levels = settings
        .rules
        .iter()
        .map(|(rule, word)| judge::level(rule, word));
    let options = Options {
        major: major.or(context.config.file.postgres_major),
        levels: levels
            .collect::<Result<_>>()
            .context("reading lint.rules of af-db.yaml")?,
        today: chrono::Utc::now().date_naive(),
    };
    let judgement = judge::judge(&sources, &options);
    let findings = match &settings.baseline {
        Some(path) => baseline(context, path)?.apply(judgement.findings, path),
        None => judgement.findings,
    };
    let fails = worst(&findings) >= Some(threshold(settings.fail_on.as_deref())?)
        && fails_at_all(settings.fail_on.as_deref());
    Ok(Linted {
        findings,
        allowed: judgement.allowed.len(),
        fails,
    })
}

/// Gives a file to the rules; another tool's layout says in its own way what is a way down and what runs outside a
/// transaction.
fn source<'a>(script: &'a Script, directives: &Directives, down: bool) -> Source<'a> {
    Source {
        down,
        in_transaction: !directives.no_transaction,
        ..Source::new(&script.shown, &script.text)
    }
}

fn baseline(context: &Context, path: &str) -> Result<Baseline> {
    let text = match std::fs::read_to_string(context.config.root.join(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(fail(format!("there is no baseline `{path}`"))
                .hint("write it with af-db validate --offline --write-baseline")
                .into());
        }
        Err(error) => return Err(error).with_context(|| format!("reading {path}")),
    };
    Baseline::parse(&text).with_context(|| format!("reading {path}"))
}

/// Writes the findings of now as the baseline.
pub(crate) fn write_baseline(context: &Context, findings: &[Finding]) -> Result<String> {
    let Some(path) = &context.config.file.lint.baseline else {
        return Err(fail("no baseline is configured; nothing was written")
            .hint("set lint.baseline in af-db.yaml, such as lint-baseline.json")
            .into());
    };
    let text = Baseline::of(findings).print()?;
    std::fs::write(context.config.root.join(path), text)
        .with_context(|| format!("writing {path}"))?;
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
