//! Owns running attempts: many in one round trip, each in a sub-transaction that is always undone.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::types::Type;

use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// Who a request says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Its name in reports, such as `a` or `nobody`.
    pub(super) title: String,
    /// The role that connected.
    pub(super) session: String,
    /// The role it became.
    pub(super) role: String,
    /// The settings of the request.
    pub(super) settings: BTreeMap<String, String>,
}

impl Identity {
    /// Says whether it is a member of A, of whatever rank, who claims nothing it is not.
    pub(super) fn is_of_a(&self) -> bool {
        self.title == "a" || self.title.starts_with("a member of a")
    }
}

impl Identity {
    /// Gives the statements by which a transaction of one who may be anybody becomes the request, the session with it.
    pub(super) fn becoming(&self) -> Vec<Sql> {
        let mut all = self.settling();
        if self.session != self.role {
            all.push(Sql::fill(
                "SET LOCAL SESSION AUTHORIZATION {}",
                &[&Ident::new(self.session.as_str())],
            ));
        }
        all.push(self.entering());
        all
    }

    /// Gives the statements by which a transaction of a member of the role becomes the request.
    pub(super) fn becoming_as_member(&self) -> Vec<Sql> {
        let mut all = self.settling();
        all.push(self.entering());
        all
    }

    fn settling(&self) -> Vec<Sql> {
        let set = |(name, value): (&String, &String)| {
            Sql::fill(
                "SELECT pg_catalog.set_config({}, {}, true)",
                &[&Literal::new(name.as_str()), &Literal::new(value.as_str())],
            )
        };
        self.settings.iter().map(set).collect()
    }

    fn entering(&self) -> Sql {
        Sql::fill("SET LOCAL ROLE {}", &[&Ident::new(self.role.as_str())])
    }
}

/// As whom a step runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    /// The owner of the scratch copy.
    Owner,
    /// Whatever the step before left.
    Kept,
    /// A request.
    Request(&'a Identity),
}

/// One statement of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Step<'a> {
    pub(super) who: Who<'a>,
    pub(super) sql: Sql,
    /// Whether its answer is one text.
    pub(super) reads: bool,
    /// Whether the rest is pointless when it fails.
    pub(super) must: bool,
}

/// Makes a step that changes something.
pub(super) fn change(who: Who<'_>, sql: Sql) -> Step<'_> {
    Step {
        who,
        sql,
        reads: false,
        must: false,
    }
}

/// Makes a step that reads one text.
pub(super) fn read(who: Who<'_>, sql: Sql) -> Step<'_> {
    Step {
        who,
        sql,
        reads: true,
        must: false,
    }
}

/// Makes a step without which the rest is pointless.
pub(super) fn need(who: Who<'_>, sql: Sql) -> Step<'_> {
    Step {
        who,
        sql,
        reads: false,
        must: true,
    }
}

/// What came of a step.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Answer {
    /// The text it gave.
    pub(super) given: Option<String>,
    /// The rows it touched.
    pub(super) touched: Option<i64>,
    /// The SQLSTATE of its refusal.
    pub(super) code: Option<String>,
    /// The words of its refusal.
    pub(super) words: Option<String>,
}

impl Answer {
    /// Says whether the statement ran.
    pub(super) fn ran(&self) -> bool {
        self.code.is_none()
    }

    /// Gives the refusal in words.
    pub(super) fn refusal(&self) -> String {
        match (&self.code, &self.words) {
            (Some(code), Some(words)) => format!("{words} (SQLSTATE {code})"),
            (Some(code), None) => format!("SQLSTATE {code}"),
            _ => "ran".to_owned(),
        }
    }

    fn was_cut(code: &str, words: &str) -> Self {
        Answer {
            code: Some(code.to_owned()),
            words: Some(words.to_owned()),
            ..Answer::default()
        }
    }
}

/// Attempts sent in one message.
const BATCH: usize = 250;

/// Makes the helpers of this session.
pub(super) async fn prepare(session: &Session) -> Result<()> {
    session.run(&Sql::new("SET client_min_messages = error; SET lock_timeout = '5s'; SET jit = off; SET max_parallel_workers_per_gather = 0")).await?;
    session
        .run(&Sql::new(include_str!("queries/runner.sql")))
        .await?;
    session
        .run(&Sql::new(include_str!("queries/filler.sql")))
        .await
}

/// Runs attempts; the answers of each stand where the attempt stood.
pub(super) async fn run(session: &Session, attempts: &[Vec<Step<'_>>]) -> Result<Vec<Vec<Answer>>> {
    let mut all = Vec::with_capacity(attempts.len());
    for batch in attempts.chunks(BATCH) {
        match send(session, batch, "10s").await {
            Ok(answers) => all.extend(answers),
            Err(error) if is_cut(&error) => {
                // One of them never ends: each gets a moment of its own.
                for attempt in batch {
                    match send(session, std::slice::from_ref(attempt), "2s").await {
                        Ok(mut answers) => all.append(&mut answers),
                        Err(error) if is_cut(&error) => {
                            all.push(vec![Answer::was_cut("57014", "took longer than 2 seconds")])
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn is_cut(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<ServerError>()
        .is_some_and(|refusal| !refusal.closed)
}

async fn send(
    session: &Session,
    attempts: &[Vec<Step<'_>>],
    limit: &'static str,
) -> Result<Vec<Vec<Answer>>> {
    let document: Value = attempts
        .iter()
        .map(|steps| steps.iter().map(as_json).collect::<Value>())
        .collect();
    session.run(&Sql::new("BEGIN")).await?;
    session
        .execute(
            "SELECT pg_catalog.set_config('statement_timeout', $1, true)",
            &[(&limit, Type::TEXT)],
        )
        .await?;
    let answer = session
        .query_one("SELECT pg_temp.af_probe($1)", &[(&document, Type::JSONB)])
        .await;
    session.run(&Sql::new("ROLLBACK")).await?;
    serde_json::from_value(answer?.get(0)).context("reading what the attempts gave")
}

fn as_json(step: &Step<'_>) -> Value {
    let mut document = json!({ "sql": step.sql.as_str(), "reads": step.reads, "must": step.must });
    match step.who {
        Who::Owner => document["who"] = "owner".into(),
        Who::Kept => document["who"] = "kept".into(),
        Who::Request(identity) => {
            document["who"] = "identity".into();
            document["session"] = identity.session.clone().into();
            document["role"] = identity.role.clone().into();
            document["settings"] = identity
                .settings
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.clone())))
                .collect();
        }
    }
    document
}
