//! A run that is bound to what was seen: what does more is rolled back before its commit.

use std::collections::BTreeSet;

use af_db::error::Exit;
use af_db::event::{Interrupt, silent};
use af_db::pg::lock::LockedSession;
use af_db::plan::StepRecorder;
use af_db::plan::execution::Execution;
use af_db::plan::lock_schedule::LockSchedule;
use af_db::plan::observe::guard::Prediction;
use af_db::plan::observe::run;
use af_db::plan::step_failure::Stopped;
use af_db::sql::safe::Sql;

use super::support::step;
use crate::support::server;

/// Keeps no books.
pub(super) struct Unrecorded;

impl StepRecorder for Unrecorded {
    fn lock_history(&self) -> Sql {
        Sql::default()
    }

    fn unit_began(&self, _: usize, _: &Sql) -> Sql {
        Sql::new("SELECT")
    }

    fn unit_done(&self, _: usize, _: &Sql) -> Sql {
        Sql::new("SELECT")
    }

    fn step_done(&self, _: usize, _: usize) -> Sql {
        Sql::new("SELECT")
    }

    fn is_recorded(&self) -> Option<Sql> {
        None
    }

    fn is_recorded_by_this_run(&self, _: Option<usize>) -> Option<Sql> {
        None
    }
}

/// Observes a text on one schema, runs it on another, and gives what stopped it.
async fn ran(seen: &str, real: &str, text: &str) -> Result<(), String> {
    let (shadow, target) = (server::database().await, server::database().await);
    shadow.run(seen).await;
    target.run(real).await;
    let step = step("V1__x.sql", text);
    let steps = std::slice::from_ref(&step);
    let observed = run::steps(&shadow.target, steps, &silent)
        .await
        .expect("an observation");
    let interrupt = Interrupt::default();
    let session = target.session().await;
    let mut execution = Execution::new(
        LockedSession::on_throwaway(session),
        &target.target,
        LockSchedule::default(),
        &silent,
        &interrupt,
    );
    execution.predict(Prediction {
        steps: observed,
        reach: Some(BTreeSet::new()),
        has_event_triggers: false,
        history: String::new(),
    });
    match execution.run(&step, &Unrecorded).await {
        Ok(_) => Ok(()),
        Err(Stopped::RolledBack(trouble)) => {
            assert_eq!(trouble.exit, Exit::Refused);
            Err(trouble.error.to_string())
        }
        Err(other) => panic!("{other:?}"),
    }
}

const PLAIN: &str = "CREATE DOMAIN mail AS text; CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1)";
const STRICT: &str = "CREATE DOMAIN mail AS text CHECK (VALUE <> ''); CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1)";

#[tokio::test]
async fn what_was_predicted_is_committed() {
    for text in [
        "ALTER TABLE t ADD COLUMN m mail",
        "ALTER TABLE t ALTER id TYPE bigint; CREATE INDEX i ON t (a); UPDATE t SET a = 'x'",
        "TRUNCATE t; DROP TABLE t; CREATE TABLE t (b int)",
    ] {
        assert_eq!(ran(PLAIN, PLAIN, text).await, Ok(()), "{text}");
    }
}

#[tokio::test]
async fn unpredicted_rewrites_are_rolled_back() {
    let stopped = ran(PLAIN, STRICT, "ALTER TABLE t ADD COLUMN m mail").await;
    assert_eq!(
        stopped.expect_err("it must not be committed"),
        "the step had effects that are not in the plan: it rewrote public.t, which was not predicted; \
         it rewrote public.t_pkey, which was not predicted"
    );
}

#[tokio::test]
async fn unpredicted_locks_are_rolled_back() {
    let more = "CREATE DOMAIN mail AS text; CREATE TABLE t (id int PRIMARY KEY, a text); \
                CREATE TABLE child () INHERITS (t)";
    let stopped = ran(PLAIN, more, "ALTER TABLE t ADD COLUMN b int").await;
    assert_eq!(
        stopped.expect_err("it must not be committed"),
        "the step had effects that are not in the plan: it took an AccessExclusive lock on public.child, none was predicted"
    );
}

#[tokio::test]
async fn unpredicted_rows_and_tables_are_rolled_back() {
    let event = "CREATE TABLE other (id int); INSERT INTO other VALUES (1), (2);
        CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN WORK END $$;
        CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION e();";
    let other = "CREATE TABLE other (id int);";
    for (work, expected) in [
        (
            "DELETE FROM public.other;",
            "it deleted 2 rows of public.other, which was not predicted",
        ),
        (
            "UPDATE public.other SET id = 3; INSERT INTO public.other VALUES (4);",
            "it wrote 3 rows of public.other, which was not predicted",
        ),
        (
            "CREATE TABLE IF NOT EXISTS public.surprise ();",
            "it created public.surprise, which was not predicted",
        ),
    ] {
        let seen = format!("{PLAIN}; {other}");
        let real = format!("{PLAIN}; {}", event.replace("WORK", work));
        let stopped = ran(&seen, &real, "ALTER TABLE t ADD COLUMN b int").await;
        let said = stopped.expect_err("it must not be committed");
        assert_eq!(
            said,
            format!("the step had effects that are not in the plan: {expected}")
        );
    }
}

#[tokio::test]
async fn rows_of_an_earlier_transaction_are_not_counted_in_a_later_one() {
    let text = "-- af-db: no-transaction\nDELETE FROM t;\nALTER TABLE t ADD COLUMN b int;\nUPDATE t SET b = 1;\n";
    assert_eq!(ran(PLAIN, PLAIN, text).await, Ok(()));
}
