//! Runs row checks on the target: read-only, one after the other, each with a timeout.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::plan::observe::StepObservation;
use crate::plan::observe::row_checks::RowCheck;
use crate::plan::transaction;
use crate::sql::external_access;
use crate::sql::phrase::{self, Phrase};
use crate::sql::safe::Sql;
use crate::sql::token::TokenKind;

/// The result of a row check on the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RowCheckResult {
    /// The step, from 0.
    pub step: usize,
    /// The statement of the step, from 1.
    pub statement: usize,
    pub question: RowCheck,
    /// The outcome.
    pub outcome: RowCheckOutcome,
    /// Whether an earlier statement of the plan writes to the table, so that the answer may be another one by then.
    pub may_change: bool,
}

/// The outcome of a row check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowCheckOutcome {
    /// No such rows.
    Fits,
    /// There are such rows: the statement would fail, and the server's words where it was asked to try.
    Fails(Option<String>),
    /// Unknown, for this reason.
    NotAsked(String),
}

/// Runs all row checks of the observations on the target; those that time out are unknown.
///
/// The session must not be in a transaction.
pub async fn ask(
    target: &Session,
    observations: &[StepObservation],
    timeout: Duration,
) -> Result<Vec<RowCheckResult>> {
    let mut answers = Vec::new();
    let mut written: Vec<&str> = Vec::new();
    let mut code = false;
    for (step, observation) in observations.iter().enumerate() {
        for statement in &observation.statements {
            for question in &statement.questions {
                answers.push(RowCheckResult {
                    step,
                    statement: statement.number,
                    question: question.clone(),
                    outcome: outcome(target, question, timeout).await?,
                    may_change: code || written.contains(&question.relation.as_str()),
                });
            }
            written.extend(statement.rows.iter().map(|rows| rows.relation.as_str()));
            code |= matches!(statement.verb.as_str(), "DO" | "CALL");
        }
    }
    Ok(answers)
}

async fn outcome(
    target: &Session,
    question: &RowCheck,
    timeout: Duration,
) -> Result<RowCheckOutcome> {
    let Some(query) = &question.query else {
        let reason = question.not_asked.clone();
        return Ok(RowCheckOutcome::NotAsked(reason.unwrap_or_default()));
    };
    if let Some(reason) = unsafe_to_ask(target, query).await? {
        return Ok(RowCheckOutcome::NotAsked(reason));
    }
    let mut sql = Sql::new("BEGIN READ ONLY");
    for part in transaction::limits(Some(timeout.min(Duration::from_millis(500))), Some(timeout)) {
        sql.push(";\n").piece(&part);
    }
    sql.push(";\nSET LOCAL jit = off; SET LOCAL standard_conforming_strings = on;\n");
    sql.piece(&Sql::written_by_user(query.as_str()));
    let asked = target.simple_query(&sql).await;
    let ended = target.run(&Sql::new("ROLLBACK")).await;
    let messages = match asked {
        Ok(messages) => messages,
        Err(error) => return refused(error, timeout),
    };
    ended?;
    let answer = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(match answer {
        Some("t") => RowCheckOutcome::Fails(None),
        Some("f") => RowCheckOutcome::Fits,
        _ => RowCheckOutcome::NotAsked("the target returned no result".to_owned()),
    })
}

/// Returns why a check is not run: expressions of unreviewed files may call functions with side effects, which even a
/// read-only transaction does not keep from reaching other servers, files or sessions.
async fn unsafe_to_ask(target: &Session, query: &str) -> Result<Option<String>> {
    if !external_access::is_expression(query) {
        return Ok(Some("the condition is not a single expression".to_owned()));
    }
    let tokens = phrase::read(query);
    let words = Phrase::new(query, &tokens);
    let called = (0..words.len()).filter(|at| words.at(at + 1) == "(");
    let called = called.filter(|at| {
        matches!(
            words.kind(*at),
            Some(TokenKind::Word | TokenKind::QuotedName)
        )
    });
    let Some(names) = called.map(|at| words.ident(at)).collect::<Option<Vec<_>>>() else {
        return Ok(Some(
            "the condition calls a function by an escaped name".to_owned(),
        ));
    };
    let rows = target
        .query(
            include_str!("../queries/volatile.sql"),
            &[(&names, Type::TEXT_ARRAY)],
        )
        .await?;
    Ok(rows.first().map(|row| {
        let name: String = row.get(0);
        format!("the condition calls `{name}`, which may have side effects")
    }))
}

/// Reads an error as an answer: values that cannot be converted fail here as they would in the statement.
fn refused(error: anyhow::Error, timeout: Duration) -> Result<RowCheckOutcome> {
    let Some(server) = error.downcast_ref::<ServerError>().filter(|it| !it.closed) else {
        return Err(error);
    };
    let sqlstate = server.sqlstate.as_deref().unwrap_or_default();
    Ok(match sqlstate {
        "57014" => {
            RowCheckOutcome::NotAsked(format!("no result within {} s", timeout.as_secs_f64()))
        }
        "55P03" => RowCheckOutcome::NotAsked("the table is locked".to_owned()),
        "42P01" | "42703" | "3F000" | "42704" | "42883" => RowCheckOutcome::NotAsked(
            "the condition uses objects that the plan creates first".to_owned(),
        ),
        "42501" => {
            RowCheckOutcome::NotAsked("the role has no SELECT privilege on the table".to_owned())
        }
        data if data.starts_with("22") || data.starts_with("23") => {
            RowCheckOutcome::Fails(Some(server.message.clone()))
        }
        _ => RowCheckOutcome::NotAsked(server.message.clone()),
    })
}
