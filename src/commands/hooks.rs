//! Owns the project's own commands around a backup or a restore: before it, where a failure keeps it from beginning, and
//! after it, where a failure is told and undoes nothing.

use std::time::Duration;

use anyhow::Result;

use crate::commands::{Context, project};
use crate::error::{Exit, refuse, with_exit};
use crate::finding::Finding;
use crate::pg::process_group::{self, GroupEnd};
use crate::pg::program::Program;

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
        match run(context, command, told).await? {
            Came::Well => {}
            Came::Badly(why) => {
                return Err(refuse(format!(
                    "`{command}` of backup.hooks.{key} {why}; nothing was done"
                ))
                .hint("see to what it found, or take it out of af-db.yaml")
                .into());
            }
            Came::Interrupted => {
                return Err(with_exit(
                    Exit::Interrupted,
                    format!(
                        "interrupted, `{command}` of backup.hooks.{key} was ended; nothing was done"
                    ),
                )
                .into());
            }
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
        match run(context, command, told).await? {
            Came::Well => {}
            Came::Badly(why) => {
                let finding = Finding::error("backup-hook", command, why);
                findings.push(finding.help(format!(
                    "it is one of backup.hooks.{key}; what went before it stands"
                )));
            }
            Came::Interrupted => {
                let what = told.archive.unwrap_or_default();
                return Err(with_exit(
                    Exit::Interrupted,
                    format!("interrupted, `{command}` of backup.hooks.{key} was ended; what went before it stands: {what}"),
                )
                .into());
            }
        }
    }
    Ok(findings)
}

/// What came of one.
enum Came {
    Well,
    /// Why it failed.
    Badly(String),
    Interrupted,
}

/// Runs one, and ends it with all it started when it takes too long or somebody wants to stop.
async fn run(context: &Context, command: &str, told: &Told<'_>) -> Result<Came> {
    let patience = match &context.config.file.backup.hooks.timeout {
        Some(text) => project::duration("backup.hooks.timeout", text)?,
        None => PATIENCE,
    };
    let env = &context.config.env;
    let tool = Program::new("sh")
        .args(["-c", command])
        .env("AF_DB_ENV", context.config.database.environment())
        .env("AF_DB_DATABASE", told.database)
        .env("AF_DB_STORE", told.store)
        .env("AF_DB_ARCHIVE", told.archive.unwrap_or_default())
        .env("PATH", env.get("PATH").unwrap_or_default())
        .directory(&context.config.root);
    let done = match process_group::run(&tool, patience, &context.interrupt).await? {
        GroupEnd::Finished(done) => done,
        GroupEnd::TimedOut => {
            let seconds = patience.as_secs();
            return Ok(Came::Badly(format!("did not end within {seconds} s")));
        }
        GroupEnd::Interrupted => return Ok(Came::Interrupted),
    };
    if done.status.success() {
        return Ok(Came::Well);
    }
    let text = done.text();
    let said = done.stderr.lines().chain(text.lines()).next();
    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
    Ok(Came::Badly(format!("failed ({}){said}", done.status)))
}
