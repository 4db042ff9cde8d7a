//! Runs probe statements: many per round trip, each in a subtransaction that is always rolled back.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::types::Type;

use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// RunAs a request says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Its name in reports, such as `a`.
    pub(super) title: String,
    /// The role that connected.
    pub(super) session: String,
    /// The role it became.
    pub(super) role: String,
    /// The settings of the request.
    pub(super) settings: BTreeMap<String, String>,
}

impl Identity {
    /// Whether it is a member of A, of whatever rank, who claims nothing it is not.
    pub(super) fn is_of_a(&self) -> bool {
        self.title == "a" || self.title.starts_with("a member of a")
    }
}

impl Identity {
    /// Returns the statements by which a transaction of a superuser becomes the request, session user included.
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

    /// Returns the statements by which a transaction of a member of the role becomes the request.
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
pub(super) enum RunAs<'a> {
    /// The owner of the copy.
    Owner,
    /// Whatever the step before left.
    Kept,
    Request(&'a Identity),
}

/// One statement of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Step<'a> {
    pub(super) who: RunAs<'a>,
    pub(super) sql: Sql,
    /// Whether its answer is one text.
    pub(super) reads: bool,
    /// Whether the rest is pointless when it fails.
    pub(super) must: bool,
}

/// Makes a step that changes something.
pub(super) fn change(who: RunAs<'_>, sql: Sql) -> Step<'_> {
    Step {
        who,
        sql,
        reads: false,
        must: false,
    }
}

/// Makes a step that reads one text.
pub(super) fn read(who: RunAs<'_>, sql: Sql) -> Step<'_> {
    Step {
        who,
        sql,
        reads: true,
        must: false,
    }
}

/// Makes a step without which the rest is pointless.
pub(super) fn need(who: RunAs<'_>, sql: Sql) -> Step<'_> {
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
    /// Whether the statement ran.
    pub(super) fn ran(&self) -> bool {
        self.code.is_none()
    }

    /// Returns the refusal in words.
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

/// How long the attempts of one message may take.
const TOGETHER: Duration = Duration::from_secs(10);

/// How long each may take after one of them took too long.
const ALONE: Duration = Duration::from_secs(2);

/// A connection on which attempts are made, until the time runs out.
pub(super) struct ProbeSession<'a> {
    session: &'a Session,
    ends: Instant,
}

impl<'a> ProbeSession<'a> {
    /// Makes the helpers of this session; from `ends` on it makes no attempt.
    pub(super) async fn prepare(session: &'a Session, ends: Instant) -> Result<Self> {
        session.run(&Sql::new("SET client_min_messages = error; SET lock_timeout = '5s'; SET jit = off; SET max_parallel_workers_per_gather = 0")).await?;
        let runner = Sql::new(include_str!("queries/runner.sql"));
        session.run(&runner).await?;
        let filler = Sql::new(include_str!("queries/filler.sql"));
        session.run(&filler).await?;
        Ok(ProbeSession { session, ends })
    }

    /// Whether there is no time left.
    pub(super) fn has_run_out(&self) -> bool {
        self.left(Duration::MAX).is_zero()
    }

    /// Returns this time, or what is left where that is less.
    fn left(&self, most: Duration) -> Duration {
        self.ends
            .saturating_duration_since(Instant::now())
            .min(most)
    }
}

impl Deref for ProbeSession<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

/// No attempt was made any more: there was no time.
#[derive(Debug)]
pub(super) struct TimeExpired;

impl fmt::Display for TimeExpired {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("the time limit of the proof was reached")
    }
}

impl std::error::Error for TimeExpired {}

/// Returns what came of attempts, nothing where the time ran out on the way.
pub(super) fn in_time<T: Default>(came: Result<T>) -> Result<T> {
    match came {
        Err(error) if error.is::<TimeExpired>() => Ok(T::default()),
        came => came,
    }
}

/// Runs attempts; the answers of each stand where the attempt stood.
pub(super) async fn run(
    probe_session: &ProbeSession<'_>,
    attempts: &[Vec<Step<'_>>],
) -> Result<Vec<Vec<Answer>>> {
    run_after(probe_session, &[], attempts).await
}

/// Runs attempts after statements of the owner, which are undone with them; one that is refused changes nothing.
pub(super) async fn run_after(
    probe_session: &ProbeSession<'_>,
    before: &[Sql],
    attempts: &[Vec<Step<'_>>],
) -> Result<Vec<Vec<Answer>>> {
    let mut all = Vec::with_capacity(attempts.len());
    for batch in attempts.chunks(BATCH) {
        match send(probe_session, before, batch, TOGETHER).await {
            Ok(answers) => all.extend(answers),
            Err(error) if is_cut(&error) => {
                // One of them never ends: each gets a moment of its own.
                for attempt in batch {
                    match send(probe_session, before, std::slice::from_ref(attempt), ALONE).await {
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
    probe_session: &ProbeSession<'_>,
    before: &[Sql],
    attempts: &[Vec<Step<'_>>],
    limit: Duration,
) -> Result<Vec<Vec<Answer>>> {
    if probe_session.has_run_out() {
        return Err(TimeExpired.into());
    }
    let limit = format!("{}ms", probe_session.left(limit).as_millis().max(1));
    let letter = ProbeBatch::write(before, attempts);
    probe_session.run(&Sql::new("BEGIN")).await?;
    probe_session
        .execute(
            "SELECT pg_catalog.set_config('statement_timeout', $1, true)",
            &[(&limit, Type::TEXT)],
        )
        .await?;
    let answers = probe_session
        .query(
            "SELECT pg_temp.af_probe($1, $2, $3, $4, $5)",
            &[
                (&letter.said, Type::TEXT_ARRAY),
                (&letter.people, Type::JSONB),
                (&letter.before, Type::INT4_ARRAY),
                (&letter.begins, Type::INT4_ARRAY),
                (&letter.steps, Type::INT4_ARRAY),
            ],
        )
        .await;
    probe_session.run(&Sql::new("ROLLBACK")).await?;
    answers?
        .iter()
        .map(|row| {
            serde_json::from_value(row.get(0)).context("reading the results of the attempts")
        })
        .collect()
}

/// Attempts as they are sent: every statement and every identity once, the steps as numbers.
#[derive(Default)]
struct ProbeBatch<'a> {
    said: Vec<&'a str>,
    places: BTreeMap<&'a str, i32>,
    people: Value,
    before: Vec<i32>,
    begins: Vec<i32>,
    steps: Vec<i32>,
}

impl<'a> ProbeBatch<'a> {
    fn write(before: &'a [Sql], attempts: &'a [Vec<Step<'a>>]) -> Self {
        let mut letter = ProbeBatch::default();
        let mut people: Vec<&Identity> = Vec::new();
        letter.before = before.iter().map(|sql| letter.place(sql)).collect();
        for steps in attempts {
            letter.begin();
            for step in steps {
                let who = match step.who {
                    RunAs::Kept => 0,
                    RunAs::Owner => 1,
                    RunAs::Request(identity) => 2 + number(known(&mut people, identity)),
                };
                let sql = letter.place(&step.sql);
                let kind = i32::from(step.reads) + 2 * i32::from(step.must);
                letter.steps.extend([who, sql, kind]);
            }
        }
        letter.begin();
        letter.people = people.into_iter().map(as_json).collect();
        letter
    }

    fn begin(&mut self) {
        self.begins.push(1 + number(self.steps.len()));
    }

    /// Returns the place of a statement among those said, counted from 1.
    fn place(&mut self, sql: &'a Sql) -> i32 {
        let text = sql.as_str();
        let next = 1 + number(self.said.len());
        *self.places.entry(text).or_insert_with(|| {
            self.said.push(text);
            next
        })
    }
}

fn known<'a>(people: &mut Vec<&'a Identity>, identity: &'a Identity) -> usize {
    let found = people.iter().position(|one| *one == identity);
    found.unwrap_or_else(|| {
        people.push(identity);
        people.len() - 1
    })
}

fn number(count: usize) -> i32 {
    i32::try_from(count).expect("a batch is small")
}

fn as_json(identity: &Identity) -> Value {
    json!({ "session": identity.session, "role": identity.role, "settings": identity.settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_sent_once() {
        let identity = Identity {
            title: "a".to_owned(),
            session: "app".to_owned(),
            role: "app".to_owned(),
            settings: BTreeMap::new(),
        };
        let ask = || read(RunAs::Request(&identity), Sql::new("SELECT 1"));
        let before = [Sql::new("SELECT 2")];
        let attempts = [
            vec![ask(), need(RunAs::Owner, Sql::new("SELECT 2"))],
            vec![],
            vec![ask()],
        ];
        let letter = ProbeBatch::write(&before, &attempts);
        assert_eq!(letter.said, ["SELECT 2", "SELECT 1"]);
        assert_eq!(letter.before, [1]);
        assert_eq!(letter.begins, [1, 7, 7, 10]);
        assert_eq!(letter.steps, [2, 2, 1, 1, 1, 2, 2, 2, 1]);
        assert_eq!(letter.people.as_array().map(Vec::len), Some(1));
    }
}
