//! The context that every command runs in, and the report that it returns.
//!
//! A command reads like its manual page: gather, decide, show, ask, do, report. Commands do not import each other.

pub mod format;
pub mod output;
pub mod page;
pub mod sink;
pub mod terminal;

mod abort;
mod archives;
mod change;
mod embedded;
mod fleet;
mod import_live;
mod metrics;
mod notify;
mod policies;
mod project;
mod project_lint;
pub(crate) mod protection;
mod rename_question;
pub(crate) mod run_hooks;
mod schema_sources;

pub mod adopt;
pub mod backup;
pub mod completions;
#[cfg(feature = "sqlite")]
pub mod copy;
pub mod dev;
pub mod diagram;
pub mod diff;
pub mod diff_rls;
pub mod doctor;
pub mod down;
pub mod explain;
pub mod help;
pub mod history;
mod hooks;
pub mod init;
pub mod manifest;
pub mod new;
pub mod plan;
pub mod preflight;
pub mod repair;
pub mod restore;
pub mod status;
pub mod up;
pub mod validate;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::config::Config;
use crate::error::Exit;
use crate::event::{Event, Interrupt};
use crate::finding::{Finding, Severity};
use crate::fleet::Member;
use crate::pg::session::Session;
use crate::pg::shadow_server::{self, ShadowServer};
use crate::pg::target::Target;
use crate::pg::{connect, pooler, server_info};

use output::{Format, Output};
use page::Page;
use terminal::{Loudness, Terminal};

/// How a command that could do its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done; nothing found.
    Clean,
    /// Something was found that must be fixed.
    Found,
    /// Stopped half-way; the report says what was done.
    HalfWay,
    /// Interrupted; the report says what was done.
    Interrupted,
}

impl Outcome {
    /// `Found` when any finding reaches the severity.
    pub fn of(findings: &[Finding], fail_on: Severity) -> Self {
        let found = crate::finding::worst(findings).is_some_and(|worst| worst >= fail_on);
        if found {
            Outcome::Found
        } else {
            Outcome::Clean
        }
    }

    /// The exit status of the process.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Clean => 0,
            Outcome::Found => 1,
            Outcome::HalfWay => Exit::HalfWay.code(),
            Outcome::Interrupted => Exit::Interrupted.code(),
        }
    }

    /// The word in the JSON document.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Clean => "clean",
            Outcome::Found => "found",
            Outcome::HalfWay => "half-way",
            Outcome::Interrupted => "interrupted",
        }
    }
}

/// What a command reports; one implementor a command.
///
/// Serializes to an object, whose keys stand at the top level of the JSON document.
pub trait Report: Serialize {
    /// The command's name as typed.
    fn command(&self) -> &'static str;
    /// Writes it for a person; the findings follow by themselves.
    fn human(&self, page: &mut Page);
    /// What a summary in Markdown shows before the findings.
    fn markdown(&self) -> String {
        String::new()
    }
    /// How the command ended.
    fn outcome(&self) -> Outcome {
        Outcome::of(self.findings(), Severity::Error)
    }
    /// The findings of the command.
    fn findings(&self) -> &[Finding] {
        &[]
    }
    /// Whether the person asked for a connection URL with its password.
    fn shows_password(&self) -> bool {
        false
    }
    /// The findings for forges and pipelines, which do not see the page that a person reads.
    fn annotations(&self) -> Vec<Finding> {
        self.findings().to_vec()
    }
}

/// What every command gets: the configuration, the output streams and the interrupt.
pub struct Context {
    /// The configuration of the project.
    pub config: Config,
    /// Standard output.
    pub output: Output,
    /// Standard error and the keyboard.
    pub terminal: Terminal,
    /// Raised by Ctrl-C and SIGTERM.
    pub interrupt: Interrupt,
    /// `--yes`: answers the questions that a protected environment does not ask.
    pub yes: bool,
    /// The protected environments of the project, with their identities.
    pub(crate) register: Arc<protection::EnvironmentRegister>,
    /// The last report, for the notification, the metrics and the report of a fleet.
    pub told: std::sync::Mutex<Option<serde_json::Value>>,
}

/// What a session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Read-only: any pooler will do.
    Reading,
    /// To read at length: a server process of our own, on a primary.
    Dumping,
    /// To change something: as for dumping, and a protected environment is recognised whatever its address.
    Writing,
}

impl Context {
    /// The same context for another database, with the rules of the protected environment that its URL belongs to.
    pub fn at(&self, target: Target) -> Context {
        Context {
            config: self.config.at(target),
            output: self.output,
            terminal: self.terminal.clone(),
            interrupt: self.interrupt.clone(),
            yes: self.yes,
            register: Arc::clone(&self.register),
            told: std::sync::Mutex::default(),
        }
    }

    /// The same context for one database of a fleet, whose log and report are part of the fleet's.
    fn alone(&self, member: &Member) -> Context {
        let quiet = Output {
            format: Format::Nothing,
            ..self.output
        };
        let mut alone = Context {
            output: quiet,
            terminal: Terminal::new(Loudness::Quiet, false),
            ..self.at(member.target.clone())
        };
        alone.config.tenant.clone_from(&member.tenant);
        alone
    }

    /// Opens a session on the managed database; also returns the target it was opened at.
    pub async fn open(&self, purpose: Purpose) -> Result<(Session, Target)> {
        let database = &self.config.database;
        let target = match purpose {
            Purpose::Reading => database.target.as_ref(),
            Purpose::Dumping | Purpose::Writing => database.writing(),
        };
        let Some(target) = target.cloned() else {
            return self.open_embedded().await;
        };
        let watch = self.watch();
        let doing = || format!("connecting to {target}, from {}", database.source);
        let session = connect::open(&target, &watch).await.with_context(doing)?;
        if purpose != Purpose::Reading {
            server_info::refuse_replica(session.server_info())?;
            pooler::require_session(&session, &target).await?;
        }
        protection::enter(self, &session, &target, purpose).await?;
        Ok((session, target))
    }

    /// Opens a session on the embedded PostgreSQL, starting it if need be; it is never another environment.
    async fn open_embedded(&self) -> Result<(Session, Target)> {
        let target = embedded::start(self, crate::pg::dev::IDLE).await?.target;
        let doing = || {
            format!(
                "connecting to {target}, from {}",
                self.config.database.source
            )
        };
        let session = connect::open(&target, &self.watch())
            .await
            .with_context(doing)?;
        Ok((session, target))
    }

    /// Starts a shadow server, of the live server's major version where one is given and that version is available.
    pub async fn scratch(&self, live: Option<&Session>) -> Result<ShadowServer> {
        self.scratch_with(live, None).await
    }

    /// Starts a shadow server as [`Context::scratch`] does, with no larger a lock table than the live server: a
    /// transaction that runs out of locks there fails here too.
    pub async fn narrow_scratch(&self, live: &Session) -> Result<ShadowServer> {
        self.scratch_with(Some(live), Some(live.server_info().locks))
            .await
    }

    async fn scratch_with(
        &self,
        live: Option<&Session>,
        locks: Option<i64>,
    ) -> Result<ShadowServer> {
        let major = live.and_then(|session| u32::try_from(session.server_info().major()).ok());
        let mut options = self
            .config
            .embedded(major.or(self.config.file.postgres_major))?;
        options.locks = locks;
        if let Some(server) = &options.shadow_server {
            protection::refuse_shadow(self, server).await?;
        }
        shadow_server::start(&options, &self.watch()).await
    }

    /// Makes a report the answer, in the format asked for, and returns its outcome.
    ///
    /// The answer is written when the command has ended and its sessions are closed.
    pub fn show<R: Report>(&self, report: &R) -> Result<Outcome> {
        let document = output::document(report)?;
        let mut told = self
            .told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *told = Some(serde_json::Value::Object(document));
        drop(told);
        self.output.show(report)?;
        Ok(report.outcome())
    }

    /// The listener that draws progress.
    pub fn watch(&self) -> impl Fn(Event<'_>) + Send + Sync + '_ {
        |event| self.terminal.tell(event)
    }

    /// Asks before something that can be undone; `--yes` answers, no terminal refuses.
    pub fn confirm(&self, question: &str) -> Result<()> {
        if self.yes {
            Ok(())
        } else {
            self.terminal.confirm(question)
        }
    }
}
