//! What an operator types on a terminal before a guarded environment is touched: the words, letter by letter, or nothing is.

use super::{applied, plan, project, refused, without_hashes};
use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Database};

/// A plan for production that loses a column.
struct Case {
    database: Database,
    project: Project,
    words: String,
    start: String,
}

async fn case() -> Case {
    let database = server::database().await;
    let rules = "protected: true, require: [approved-plan]";
    let project = project(&database.target, rules).await;
    let hash = plan(&project, "production").await;
    let start = hash["sha256:".len()..][..6].to_owned();
    let words = format!("production/{} {start}", database.target.database());
    Case {
        database,
        project,
        words,
        start,
    }
}

impl Case {
    /// Runs the plan; each answer is typed when the one before was taken.
    async fn up(&self, answers: &[&str]) -> CommandOutput {
        let arguments = [
            "up",
            "--env",
            "production",
            "--plan",
            "plan.json",
            "--yes",
            "--quiet",
        ];
        let ran = self.project.run_on_terminal(&arguments, answers).await;
        CommandOutput {
            stderr: without_hashes(&ran.stderr.replace(&format!(" {}", self.start), " START")),
            ..ran
        }
    }

    async fn refuses(&self, answers: &[&str], why: &str) {
        let said = refused(self.up(answers).await, &self.database).await;
        assert!(
            said.contains(why),
            "{answers:?}: {why:?} is not why:\n{said}"
        );
        let note = self.database.one("SELECT note FROM a").await;
        assert_eq!(note, "x", "{said}");
    }
}

#[tokio::test]
async fn a_plan_runs_when_its_words_and_every_loss_are_typed() {
    let case = case().await;
    let ran = case
        .up(&[&format!("{}\n", case.words), "public.a.note\n"])
        .await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    assert_eq!(applied(&case.database).await, "1,2,3");
    insta::assert_snapshot!(ran.stderr, @"
    plan.json will be run on postgres@HOST:PORT/DATABASE, environment `production`: HASH
    Type `production/DATABASE START` to confirm:
    production/DATABASE START
    All data of public.a.note will be lost.
    Type `public.a.note` to confirm:
    public.a.note
    applied 2 migrations to postgres@HOST:PORT/DATABASE
    as planned: HASH
    restore point `NAME` at LSN
    ");
}

#[tokio::test]
async fn wrong_confirmations_change_nothing() {
    let case = case().await;
    let words = &*case.words;
    let (other, nothing) = (
        "confirmation did not match",
        "not confirmed; nothing was changed",
    );
    case.refuses(&["yes\n"], other).await;
    case.refuses(&["\n"], other).await;
    let (start, hash) = words.split_once(' ').expect("two words");
    case.refuses(&[&format!("{start}\n")], other).await;
    case.refuses(&[&format!("{hash}\n")], other).await;
    case.refuses(&[&format!("{start} 000000\n")], other).await;
    case.refuses(&[&format!("{}\n", words.to_uppercase())], other)
        .await;
    // Ctrl-C, Ctrl-D and words that are never finished.
    case.refuses(&["\x03"], nothing).await;
    case.refuses(&["\x04"], nothing).await;
    case.refuses(&[&format!("{words}\x03")], nothing).await;
    case.refuses(&[&format!("{words}\x04")], nothing).await;
    // The words are right, the loss is not acknowledged.
    let words = &*format!("{words}\n");
    case.refuses(&[words, "a.note\n"], other).await;
    case.refuses(&[words, "\n"], other).await;
    case.refuses(&[words, words], other).await;
    case.refuses(&[words, "\x03"], nothing).await;
    case.refuses(&[words, "public.a.note\x04"], nothing).await;
}

#[tokio::test]
async fn typing_errors_can_be_corrected() {
    let case = case().await;
    let words = format!("{}x\x7f\n", case.words);
    let ran = case.up(&[&words, "public.a.nite\x7f\x7f\x7fote\n"]).await;
    assert_eq!(ran.status, 0, "{}", ran.seen());
    assert_eq!(applied(&case.database).await, "1,2,3");
}
