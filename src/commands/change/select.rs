//! Which pending migrations a run or a plan applies, and the errors that prevent it.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::commands::page::count;
use crate::error::{fail, refuse};
use crate::finding::{Finding, Severity};
use crate::lint::check::LintOptions;
use crate::lint::{self, Source};
use crate::migrate::files::{Direction, Migration};
use crate::migrate::journal::Unfinished;
use crate::migrate::static_checks;
use crate::migrate::status::FolderStatus;

/// Flags that select migrations.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Stop after this version
    #[arg(long, value_name = "VERSION", conflicts_with = "steps")]
    pub(crate) to: Option<i64>,
    /// Apply at most this many migrations
    #[arg(long, value_name = "NUMBER")]
    pub(crate) steps: Option<usize>,
    /// Also apply migrations older than the newest applied one
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
}

/// Returns the migrations to apply, and how many stay pending after them.
pub(crate) fn choose<'m>(
    selection: &Selection,
    files: &'m [Migration],
    standing: &FolderStatus,
) -> Result<(Vec<&'m Migration>, usize)> {
    if let Some(to) = selection.to
        && !files.iter().any(|file| file.version == to)
    {
        return Err(fail(format!("migration {to} does not exist"))
            .hint("see af-db status")
            .into());
    }
    let wanted = |file: &&Migration| {
        let late = selection.allow_out_of_order && standing.out_of_order.contains(&file.version);
        late || standing.pending.binary_search(&file.version).is_ok()
    };
    let pending: Vec<&Migration> = files.iter().filter(wanted).collect();
    let total = pending.len();
    let until = |file: &&Migration| selection.to.is_none_or(|to| file.version <= to);
    let chosen: Vec<&Migration> = pending
        .into_iter()
        .filter(until)
        .take(selection.steps.unwrap_or(usize::MAX))
        .collect();
    let later = total - chosen.len();
    Ok((chosen, later))
}

/// Refuses when there are errors; returns the other findings.
pub(crate) fn obstacles(
    selection: &Selection,
    standing: &FolderStatus,
    chosen: &[&Migration],
    unfinished: &[Unfinished],
) -> Result<Vec<Finding>> {
    let mut findings = standing.findings.clone();
    // Partially applied migrations are continued by this run, and --allow-out-of-order is explicit.
    findings.retain(|finding| finding.code != "history-half-run");
    if selection.allow_out_of_order {
        findings.retain(|finding| finding.code != "history-out-of-order");
    }
    for migration in chosen {
        findings.extend(static_checks::check(migration, Direction::Up));
        findings.extend(static_checks::check_resumed(
            migration,
            Direction::Up,
            unfinished,
        ));
    }
    let (wrong, rest): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if wrong.is_empty() {
        return Ok(rest);
    }
    let errors = count(wrong.len(), "error", "errors");
    Err(refuse(format!("{errors}; nothing was applied"))
        .findings(wrong)
        .into())
}

/// Lists the migrations, for the question before they are applied.
pub(crate) fn describe(chosen: &[&Migration]) -> String {
    let mut text = format!(
        "{} will be applied:\n",
        count(chosen.len(), "migration", "migrations")
    );
    for migration in chosen {
        text.push_str(&format!("  {}\n", migration.up.shown));
    }
    text
}

/// The lint rules that find data loss.
const DATA_LOSS_RULES: [&str; 5] = ["D01", "D02", "D03", "D05", "D06"];

/// Names the tables, columns and schemas that the text of migrations drops without an allow comment.
pub(crate) fn losses(chosen: &[&Migration]) -> Vec<String> {
    let sources: Vec<Source<'_>> = chosen
        .iter()
        .map(|migration| Source::new(&migration.up.shown, &migration.up.text))
        .collect();
    let options = LintOptions {
        major: None,
        overrides: Vec::new(),
        today: chrono::Utc::now().date_naive(),
    };
    let findings = lint::check::check(&sources, &options).findings;
    let lost = findings
        .into_iter()
        .filter(|finding| DATA_LOSS_RULES.contains(&finding.code.as_str()));
    let lost: BTreeSet<String> = lost.map(|finding| finding.subject).collect();
    lost.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_named_but_for_what_the_file_made_or_allows() {
        let check = |text: &str, expected: &[&str]| {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("V1__a.sql"), text).expect("a file");
            let files = crate::migrate::files::list(folder.path(), "migrations");
            let migrations = files.expect("a folder of migrations").migrations;
            let chosen: Vec<&Migration> = migrations.iter().collect();
            assert_eq!(losses(&chosen), expected, "{text}");
        };
        check("ALTER TABLE t ADD COLUMN a int;", &[]);
        check(
            "ALTER TABLE t DROP COLUMN a; DROP TABLE u; TRUNCATE v;",
            &["t.a", "u", "v"],
        );
        check("CREATE TABLE u (a int); DROP TABLE u;", &[]);
        check(
            "-- af-db: allow D01 reason=\"moved to the archive\"\nDROP TABLE u;",
            &[],
        );
    }
}
