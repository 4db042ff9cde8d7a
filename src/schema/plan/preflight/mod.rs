//! Read-only checks before a run.
//!
//! What the role cannot see is reported as unknown, never as OK. Each check is one file under `queries/` whose
//! rows have a severity, an object and a message.

mod checks;
pub mod rights;

use anyhow::Result;
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::finding::Finding;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::plan::preflight::checks::{CHECKS, PreflightCheck};
use crate::sql::safe::Sql;

/// The state of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreflightState {
    /// As it should be.
    Ok,
    /// Unknown, because the role lacks privileges.
    CannotSee,
    /// It may be gone on with.
    Warning,
    /// A run would fail or cause damage.
    Blocking,
}

impl PreflightState {
    /// Returns the words of people.
    pub fn words(self) -> &'static str {
        match self {
            PreflightState::Ok => "ok",
            PreflightState::CannotSee => "cannot see",
            PreflightState::Warning => "warning",
            PreflightState::Blocking => "blocking",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PreflightResult {
    /// What it is about.
    pub name: String,
    /// The state.
    pub state: PreflightState,
    /// What was seen, a line each.
    pub seen: Vec<String>,
    /// What to do where it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl PreflightResult {
    /// Makes a check of one line.
    pub fn new(name: &str, state: PreflightState, seen: impl Into<String>) -> Self {
        PreflightResult {
            name: name.to_owned(),
            state,
            seen: vec![seen.into()],
            help: None,
        }
    }

    /// Adds what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns it as a finding, unless all is well.
    pub fn finding(&self) -> Option<Finding> {
        let make = match self.state {
            PreflightState::Ok => return None,
            PreflightState::CannotSee | PreflightState::Warning => Finding::warn,
            PreflightState::Blocking => Finding::error,
        };
        let finding = make(
            format!("preflight-{}", self.name),
            self.name.clone(),
            self.seen.join("; "),
        );
        Some(match &self.help {
            Some(help) => finding.help(help),
            None => finding,
        })
    }
}

/// What the checks are about.
#[derive(Clone, Debug, Default)]
pub struct PreflightScope {
    /// The relations that will be locked, as the server writes their names.
    pub relations: Vec<String>,
    /// The schemas managed.
    pub schemas: Vec<String>,
}

/// Runs all checks, each in a separate read-only transaction.
pub async fn run(session: &Session, about: &PreflightScope) -> Result<Vec<PreflightResult>> {
    let mut checks = Vec::new();
    for check in CHECKS {
        session
            .run(&Sql::new(
                "BEGIN TRANSACTION READ ONLY; SET LOCAL search_path TO pg_catalog; SET LOCAL statement_timeout = '10s'",
            ))
            .await?;
        let params = [
            (&about.relations as _, Type::TEXT_ARRAY),
            (&about.schemas as _, Type::TEXT_ARRAY),
        ];
        let rows = session.query(check.sql, &params).await;
        session.run(&Sql::new("ROLLBACK")).await?;
        checks.push(match rows {
            Ok(rows) => result(check, &rows, session.server_info().reads_all_stats),
            Err(error) if session.is_closed() => return Err(error),
            Err(error) => unknown(check, &error),
        });
    }
    Ok(checks)
}

fn result(check: &PreflightCheck, rows: &[tokio_postgres::Row], sees_all: bool) -> PreflightResult {
    let mut state = PreflightState::Ok;
    let mut seen = Vec::new();
    for row in rows {
        let (weight, object, words): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        state = state.max(match weight.as_str() {
            "blocking" => PreflightState::Blocking,
            "warning" => PreflightState::Warning,
            _ => PreflightState::Ok,
        });
        seen.push(format!("{object}: {words}"));
    }
    if check.of_others && !sees_all && state < PreflightState::Warning {
        return PreflightResult::new(
            check.name,
            PreflightState::CannotSee,
            "the role cannot see the activity of other sessions",
        )
        .help("GRANT pg_read_all_stats TO the role");
    }
    if seen.is_empty() {
        seen.push(check.fine.to_owned());
    }
    PreflightResult {
        name: check.name.to_owned(),
        state,
        seen,
        help: (state != PreflightState::Ok).then(|| check.help.to_owned()),
    }
}

fn unknown(check: &PreflightCheck, error: &anyhow::Error) -> PreflightResult {
    let why = match error.downcast_ref::<ServerError>() {
        Some(error) => error.message.clone(),
        None => error.to_string(),
    };
    PreflightResult::new(check.name, PreflightState::CannotSee, why)
        .help("GRANT pg_monitor TO the role, or check by hand")
}
