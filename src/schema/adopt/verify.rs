//! Verifies that a database matches another tool's files: compares it with a shadow database of all applied files.

use anyhow::{Context as _, Result};

use crate::adopt::tool_folder::ToolMigration;
use crate::adopt::tool_history::{self, HistoryRow, ToolHistoryTable};
use crate::catalog::{Scope, read};
use crate::diff;
use crate::diff::report::{self, Sides};
use crate::event::Watch;
use crate::finding::{Finding, Location, Severity};
use crate::migrate::files::Migration;
use crate::pg::session::Session;
use crate::pg::shadow_server::ShadowServer;
use crate::shadow::{self, Shadow};
use crate::sql::safe::Sql;

/// Pairs each migration with its row in the tool's history, and reports mismatches.
pub fn pair<'a>(
    entries: &'a [ToolMigration],
    rows: &'a [HistoryRow],
) -> (Vec<(&'a ToolMigration, &'a HistoryRow)>, Vec<Finding>) {
    let mut findings = Vec::new();
    for row in rows {
        if !entries.iter().any(|entry| entry.key == row.key) {
            let message = "applied by the tool, but the migration file is missing";
            findings.push(
                Finding::error(
                    "adopt-file-missing",
                    format!("migration {}", row.key),
                    message,
                )
                .help("restore the file from version control, or set the folder with --dir"),
            );
        }
    }
    let row_of = |entry: &ToolMigration| rows.iter().find(|row| row.key == entry.key);
    let pairs: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry, row_of(entry)?)))
        .collect();
    for (entry, row) in &pairs {
        let (Some(ours), Some(theirs)) = (&entry.proof, &row.proof) else {
            continue;
        };
        if !ours.eq_ignore_ascii_case(theirs) {
            let shown = &entry.migration.up.shown;
            let message = "checksum mismatch: the file was modified after the tool applied it";
            findings.push(
                Finding::error("adopt-edited", shown, message)
                    .place(Location::file(shown))
                    .help("restore the file from version control"),
            );
        }
    }
    let newest = pairs.last().map(|(entry, _)| entry.migration.version);
    for entry in entries.iter().filter(|entry| row_of(entry).is_none()) {
        if newest.is_some_and(|newest| newest > entry.migration.version) {
            let shown = &entry.migration.up.shown;
            let message = "not applied, but a newer migration is";
            findings.push(
                Finding::warn("adopt-out-of-order", shown, message)
                    .place(Location::file(shown))
                    .help("apply out of order: af-db up --allow-out-of-order"),
            );
        }
    }
    (pairs, findings)
}

/// Replays the applied migrations on a shadow database and reports the differences of the live one.
pub async fn compare(
    scratch: &ShadowServer,
    live: &Session,
    applied: &[&ToolMigration],
    found: &[ToolHistoryTable],
    watch: Watch<'_>,
) -> Result<Vec<Finding>> {
    let migrations: Vec<Migration> = applied
        .iter()
        .map(|entry| entry.migration.clone())
        .collect();
    let shadow = match shadow::build(scratch, "adopted", &migrations, watch).await {
        Ok(shadow) => shadow,
        Err(error) => {
            let finding = Finding::error("shadow-replay", "migrations", error.to_string());
            let hint = crate::error::hint_of(&error)
                .unwrap_or("a migration that fails on an empty database fails on every new one");
            return Ok(vec![finding.help(hint)]);
        }
    };
    let mut findings = verify(&shadow, applied).await;
    let replayed = read::read(&shadow.session, &Scope::whole()).await?;
    let actual = read::read(live, &Scope::whole())
        .await
        .context("reading the live schema")?;
    let changes = diff::between(
        &replayed.without_owners(),
        &tool_history::without(&actual.without_owners(), found),
    );
    let sides = Sides {
        code: "adopt-differs",
        severity: Severity::Error,
        before: "the files",
        after: "the live database",
    };
    findings.extend(report::findings(&changes, &sides));
    Ok(findings)
}

/// Runs the tool's verify scripts on the shadow database and rolls them back.
async fn verify(shadow: &Shadow, applied: &[&ToolMigration]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for script in applied.iter().filter_map(|entry| entry.verify.as_ref()) {
        let ran = async {
            let confinement = shadow.session.confinement();
            confinement.check(&script.shown, &script.text)?;
            shadow.session.run(&Sql::new("BEGIN")).await?;
            shadow
                .session
                .run(&Sql::written_by_user(&*script.text))
                .await
        };
        let ran: Result<()> = ran.await;
        // Also if the script ended its own transaction.
        let _ = shadow.session.run(&Sql::new("ROLLBACK")).await;
        if let Err(error) = ran {
            findings.push(
                Finding::error(
                    "adopt-verify",
                    &script.shown,
                    format!("the verify script fails on the shadow database: {error}"),
                )
                .place(Location::file(&script.shown))
                .help("fix the verify script, or the change that it checks"),
            );
        }
    }
    findings
}
