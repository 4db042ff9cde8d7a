//! The project's hook commands of backup and restore: a failure before it prevents it, a failure after it is a finding.

use std::time::Duration;

use anyhow::Result;

use crate::commands::{Context, project};
use crate::error::{Exit, refuse, with_exit};
use crate::finding::Finding;
use crate::pg::process_group::{self, GroupEnd};
use crate::pg::program::Program;

/// The default timeout of a hook.
const PATIENCE: Duration = Duration::from_secs(300);

/// The environment variables of a hook.
pub(crate) struct HookEnvironment<'a> {
    pub(crate) database: &'a str,
    pub(crate) store: &'a str,
    /// The archive, once it exists.
    pub(crate) archive: Option<&'a str>,
}

/// Runs the hooks before; refuses if one fails.
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
                .hint("Fix the hook, or remove it from af-db.yaml")
                .into());
            }
            HookResult::Interrupted => {
                return Err(with_exit(
                    Exit::Interrupted,
                    format!(
                        "interrupted: `{command}` of backup.hooks.{key} was stopped; nothing was done"
                    ),
                )
                .into());
            }
        }
    }
    Ok(())
}

/// Runs the hooks after; each failure is a finding.
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
                    "Hook of backup.hooks.{key}; the backup or restore itself is complete"
                )));
            }
            HookResult::Interrupted => {
                let what = environment.archive.unwrap_or_default();
                return Err(with_exit(
                    Exit::Interrupted,
                    format!("interrupted: `{command}` of backup.hooks.{key} was stopped; completed before: {what}"),
                )
                .into());
            }
        }
    }
    Ok(findings)
}

/// How a hook ended.
enum HookResult {
    Succeeded,
    Failed(String),
    Interrupted,
}

/// Runs a hook; stops its process group on timeout or interrupt.
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
            return Ok(HookResult::Failed(format!("timed out after {seconds} s")));
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
