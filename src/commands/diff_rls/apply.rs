//! `af-db diff-rls --apply`: the difference as one step, under the migration lock, asked for and journalled.

use anyhow::Result;

use super::{Args, refuse_unclear, report};
use crate::commands::change::run::{GuardedRun, because};
use crate::commands::page::count;
use crate::commands::{Context, Outcome, Purpose, change::gate, policies, project};
use crate::error::{Failure, with_exit};
use crate::finding::Finding;
use crate::migrate::journal::{self, JournalEntry, JournalState, RunIdentity};
use crate::pg::lock::LockedSession;
use crate::plan::execution::Execution;
use crate::plan::step_failure::{StepFailure, Stopped};
use crate::plan::{Mode, Step, StepRecorder};
use crate::rls::declared::Declared;
use crate::rls::fix_sql;
use crate::sql::safe::Sql;

/// The record of applied policies.
struct PolicyRunRecorder {
    run: RunIdentity,
}

impl StepRecorder for PolicyRunRecorder {
    fn lock_history(&self) -> Sql {
        Sql::default()
    }

    fn unit_began(&self, _: usize, _: &Sql) -> Sql {
        Sql::new("SELECT")
    }

    fn unit_done(&self, _: usize, _: &Sql) -> Sql {
        Sql::new("SELECT")
    }

    fn step_done(&self, statements: usize, lock_waits: usize) -> Sql {
        let entry = JournalEntry {
            name: Some("policies".to_owned()),
            statement: Some(statements),
            lock_waits,
            note: Some("declared policies applied".to_owned()),
            ..JournalEntry::default()
        };
        journal::append(&self.run, JournalState::Repaired, &entry)
    }

    fn is_recorded(&self) -> Option<Sql> {
        None
    }

    fn is_recorded_by_this_run(&self, _: Option<usize>) -> Option<Sql> {
        Some(journal::landed(
            &self.run,
            JournalState::Repaired,
            None,
            None,
        ))
    }
}

/// Applies what is declared; compares under the lock, so that what is asked about is what is run.
pub(super) async fn apply(args: &Args, declared: &Declared, context: &Context) -> Result<Outcome> {
    let (session, target) = context.open(Purpose::Writing).await?;
    let watch = context.watch();
    let wait = project::duration("--wait", &args.wait)?;
    let session = LockedSession::take(session, wait, &watch).await?;
    let comparison = policies::compare(&session, declared, &context.config).await?;
    refuse_unclear(&comparison.findings)?;
    let mut report = report(&target.to_string(), comparison.findings, &comparison.up);
    report.tables = comparison.tables;
    report.policies = comparison.policies;
    if comparison.up.is_empty() {
        return context.show(&report);
    }
    let text = fix_sql::script(&comparison.up);
    let statements = count(comparison.up.len(), "statement", "statements");
    let question = format!("{statements} will be run in one transaction:\n{text}");
    gate::backed_up(context, &session)?;
    if gate::is_guarded(context)? {
        gate::confirm_or(context, &session, &target, &question, AS_MIGRATION).await?;
    } else {
        context.confirm(&format!("{question}on {target}"))?;
    }
    let records = project::history_and_journal(context, &session).await?;
    let folder = project::folder(context)?;
    let ledger = project::record_settings(context, &records.history, &folder)?;
    project::create_history_tables(&session, &ledger, &records.history).await?;
    let step = Step {
        label: "the declared policies".to_owned(),
        text: text.into(),
        mode: Mode::Transaction,
        timeout: None,
        done: 0,
        uncertain: false,
    };
    let books = PolicyRunRecorder {
        run: ledger.run.clone(),
    };
    let run = GuardedRun::new(context, &target, &args.budgets, &watch)?;
    let step = async |execution: &mut Execution<'_>| execution.run(&step, &books).await;
    let (session, ran, aborted) = run.guarded(session, step).await;
    if let Err(stopped) = ran {
        session.close().await;
        return Err(because(failure(stopped), aborted).into());
    }
    report.applied = true;
    // They described what was applied just now.
    report.findings.clear();
    let still = policies::compare(&session, declared, &context.config).await?;
    if !still.up.is_empty() {
        report.findings.push(
            Finding::error(
                "after-policies",
                target.to_string(),
                "the database still differs from policies/ after they were applied",
            )
            .detail(fix_sql::script(&still.up))
            .help("see what differs: af-db diff-rls"),
        );
    }
    session.close().await;
    context.show(&report)
}

/// Where no person can be asked, policies go the way of everything else that is planned and approved.
const AS_MIGRATION: &str = "or write the change as a migration and get its plan approved: af-db diff-rls --write-migration, then af-db plan --out plan.json";

fn failure(stopped: Stopped) -> Failure {
    let say = |trouble: StepFailure, what: &str| {
        let failure = with_exit(trouble.exit, format!("{what}: {}", trouble.error));
        match trouble.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    match stopped {
        Stopped::NotBegun(trouble)
        | Stopped::RolledBack(trouble)
        | Stopped::HalfWay(_, trouble) => say(
            trouble,
            "the declared policies were not applied; nothing was changed",
        ),
        Stopped::Unknown(_, trouble) => say(
            trouble,
            "it is unknown whether the declared policies were applied; check with af-db diff-rls",
        ),
    }
}
