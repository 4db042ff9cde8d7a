//! Owns the project's own commands around a backup or a restore: before it, where a failure keeps it from beginning, and
//! after it, where a failure is told and undoes nothing.

use std::time::Duration;

use anyhow::Result;

use crate::commands::{Context, project};
use crate::error::refuse;
use crate::finding::Finding;
use crate::pg::tools::Tool;

/// How long a hook may take where af-db.yaml does not say.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the hooks are told, beside the environment's name.
pub(crate) struct Told<'a> {
    /// The database.
    pub(crate) database: &'a str,
    /// The store.
    pub(crate) store: &'a str,
    /// The archive, once it has a name.
    pub(crate) archive: Option<&'a str>,
}

/// Runs the commands that come first; one that fails refuses what was to follow.
pub(crate) async fn before(
    context: &Context,
    (key, commands): (&str, &[String]),
    told: &Told<'_>,
) -> Result<()> {
    for command in commands {
        if let Some(why) = run(context, command, told).await? {
            return Err(refuse(format!(
                "`{command}` of backup.hooks.{key} {why}; nothing was done"
            ))
            .hint("see to what it found, or take it out of af-db.yaml")
            .into());
        }
    }
    Ok(())
}

/// Runs the commands that come last and tells which of them failed.
pub(crate) async fn after(
    context: &Context,
    (key, commands): (&str, &[String]),
    told: &Told<'_>,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for command in commands {
        if let Some(why) = run(context, command, told).await? {
            let finding = Finding::error("backup-hook", command, why);
            findings.push(finding.help(format!(
                "it is one of backup.hooks.{key}; what went before it stands"
            )));
        }
    }
    Ok(findings)
}

/// Runs one and says why it failed, if it did.
async fn run(context: &Context, command: &str, told: &Told<'_>) -> Result<Option<String>> {
    let patience = match &context.config.file.backup.hooks.timeout {
        Some(text) => project::duration("backup.hooks.timeout", text)?,
        None => PATIENCE,
    };
    let ambient = &context.config.ambient;
    let tool = Tool::new("sh")
        .args(["-c", command])
        .env("AF_DB_ENV", &context.config.database.environment)
        .env("AF_DB_DATABASE", told.database)
        .env("AF_DB_STORE", told.store)
        .env("AF_DB_ARCHIVE", told.archive.unwrap_or_default())
        .env("PATH", ambient.get("PATH").unwrap_or_default())
        .directory(&context.config.root);
    let done = match tokio::time::timeout(patience, tool.run()).await {
        Err(_) => return Ok(Some(format!("did not end within {} s", patience.as_secs()))),
        Ok(done) => done?,
    };
    if done.status.success() {
        return Ok(None);
    }
    let text = done.text();
    let said = done.stderr.lines().chain(text.lines()).next();
    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
    Ok(Some(format!("failed ({}){said}", done.status)))
}
