//! Owns the project's own commands around a backup or a restore: before it, where a failure keeps it from beginning, and
//! after it, where a failure is environment and undoes nothing.

use std::time::Duration;

use anyhow::Result;

use crate::commands::{Context, project};
use crate::error::{Exit, refuse, with_exit};
use crate::finding::Finding;
use crate::pg::process_group::{self, GroupEnd};
use crate::pg::program::Program;

/// How long a hook may take where af-db.yaml does not say.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the hooks are environment, beside the environment's name.
pub(crate) struct HookEnvironment<'a> {
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
    environment: &HookEnvironment<'_>,
) -> Result<()> {
    for command in commands {
        match run(context, command, environment).await? {
            HookResult::Succeeded => {}
            HookResult::Failed(why) => {
                return Err(refuse(format!(
                    "`{command}` of backup.hooks.{key} {why}; nothing was done"
                ))
                .hint("see to what it found, or take it out of af-db.yaml")
                .into());
            }
            HookResult::Interrupted => {
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
    environment: &HookEnvironment<'_>,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for command in commands {
        match run(context, command, environment).await? {
            HookResult::Succeeded => {}
            HookResult::Failed(why) => {
                let finding = Finding::error("backup-hook", command, why);
                findings.push(finding.help(format!(
                    "it is one of backup.hooks.{key}; what went before it stands"
                )));
            }
            HookResult::Interrupted => {
                let what = environment.archive.unwrap_or_default();
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
enum HookResult {
    Succeeded,
    /// Why it failed.
    Failed(String),
    Interrupted,
}

/// Runs one, and ends it with all it started when it takes too long or somebody wants to stop.
async fn run(
    context: &Context,
    command: &str,
    environment: &HookEnvironment<'_>,
) -> Result<HookResult> {
    let patience = match &context.config.file.backup.hooks.timeout {
        Some(text) => project::duration("backup.hooks.timeout", text)?,
        None => PATIENCE,
    };
    let env = &context.config.env;
    let tool = Program::new("sh")
        .args(["-c", command])
        .env("AF_DB_ENV", context.config.database.environment())
        .env("AF_DB_DATABASE", environment.database)
        .env("AF_DB_STORE", environment.store)
        .env("AF_DB_ARCHIVE", environment.archive.unwrap_or_default())
        .env("PATH", env.get("PATH").unwrap_or_default())
        .directory(&context.config.root);
    let done = match process_group::run(&tool, patience, &context.interrupt).await? {
        GroupEnd::Finished(done) => done,
        GroupEnd::TimedOut => {
            let seconds = patience.as_secs();
            return Ok(HookResult::Failed(format!(
                "did not end within {seconds} s"
            )));
        }
        GroupEnd::Interrupted => return Ok(HookResult::Interrupted),
    };
    if done.status.success() {
        return Ok(HookResult::Succeeded);
    }
    let text = done.text();
    let said = done.stderr.lines().chain(text.lines()).next();
    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
    Ok(HookResult::Failed(format!(
        "failed ({}){said}",
        done.status
    )))
}
