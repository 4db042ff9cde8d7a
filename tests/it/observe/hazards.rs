//! Every kind of statement: what is said of it on a shadow database without rows is what it does to tables with rows, on every
//! version; and it says so itself where rows decide.

use std::collections::BTreeMap;
use std::path::Path;

use af_db::catalog::read;
use af_db::plan::observe::{ObservationSource, RewriteKind, StatementObservation, run};
use af_db::plan::{Mode, Step};
use af_db::shadow::schema_clone;
use af_db::sql::safe::Sql;

use super::actual_effects::{self, Verdict};
use super::support::step;
use crate::support::server::{self, Server};

/// A statement of `tests/cases/observe/statements.sql`.
struct Case {
    text: String,
    before: String,
    alone: bool,
    since: u32,
}

impl Case {
    fn step(&self) -> Step {
        if self.before.is_empty() {
            return step(&self.text, &self.text);
        }
        step(&self.text, &format!("{}; {}", self.before, self.text))
    }
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/observe")
        .join(name);
    std::fs::read_to_string(path).expect("the cases")
}

fn cases(major: u32) -> Vec<Case> {
    let text = file("statements.sql");
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    let cases = lines.map(|line| {
        let (text, notes) = line
            .rsplit_once("; -- ")
            .unwrap_or((line.trim_end_matches(';'), ""));
        Case {
            text: text.to_owned(),
            before: notes.strip_prefix("after ").unwrap_or("").to_owned(),
            alone: notes == "alone",
            since: notes
                .strip_suffix('+')
                .map_or(0, |major| major.parse().expect("a version")),
        }
    });
    cases.filter(|case| case.since <= major).collect()
}

/// Puts an observation into the words of a verdict.
fn said(statement: &StatementObservation) -> Verdict {
    let mut said = Verdict::new();
    if let Some(failed) = &statement.failed {
        said.insert(format!("fails {}", failed.sqlstate));
        return said;
    }
    for lock in &statement.locks {
        said.insert(format!("lock {} {}", lock.mode, lock.relation));
    }
    for rewrite in &statement.rewrites {
        said.insert(format!("rewrite {}", rewrite.relation));
        if rewrite.how == RewriteKind::Truncated {
            said.insert(format!("loss {}", rewrite.relation));
        }
    }
    for scan in &statement.scans {
        said.insert(format!("scan {}", scan.relation));
    }
    for build in &statement.builds {
        said.insert(format!("build {}", build.relation));
    }
    for gone in statement.dropped.iter().filter(|gone| gone.loses.is_some()) {
        said.insert(format!("loss {}", gone.name));
    }
    if statement.verb.starts_with("DELETE") {
        for rows in statement.rows.iter().filter(|rows| rows.deletes) {
            said.insert(format!("loss {}", rows.relation));
        }
    }
    said
}

/// A filled database, the same without rows, and a shadow database built from its catalog.
struct Ground {
    server: Server,
    full: server::Database,
    empty: server::Database,
    shadow: schema_clone::SchemaClone,
}

async fn ground(major: u32) -> Ground {
    let server = server::own(Some(major)).await;
    let (full, empty) = (server.database().await, server.database().await);
    let session = full.session().await;
    for sql in [
        "SET allow_in_place_tablespaces = on",
        "CREATE TABLESPACE slow LOCATION ''",
    ] {
        session.run(&Sql::new(sql)).await.expect("a tablespace");
    }
    session.close().await;
    for database in [&full, &empty] {
        database.run(&file("schema.sql")).await;
    }
    full.run(&file("fill.sql")).await;
    let catalog = read::read(&full.session().await, &schema_clone::scope())
        .await
        .expect("a catalog");
    let shadow = schema_clone::build(&server.scratch, "shadow", &catalog, &[])
        .await
        .expect("a shadow");
    assert!(shadow.lacking.is_empty(), "{:?}", shadow.lacking);
    Ground {
        server,
        full,
        empty,
        shadow,
    }
}

/// Leaves out what only the rows decide, where the observer says that it is so.
fn comparable(verdict: &Verdict, statement: &StatementObservation) -> Verdict {
    let mut verdict = verdict.clone();
    if statement.depends_on_rows.is_some() {
        verdict.retain(|line| line.starts_with("lock ") && !line.contains("AccessShare"));
        verdict.retain(|line| !line.contains("RowShare"));
    }
    verdict
}

/// Returns what is wrong with what was said; nothing where it is the truth.
fn wrong(
    statement: &StatementObservation,
    (full, empty): (&Verdict, &Verdict),
    alone: bool,
) -> Option<String> {
    let mut said = said(statement);
    if alone {
        said.retain(|line| !line.starts_with("scan "));
    }
    if let Some(failure) = full.iter().find_map(|line| line.strip_prefix("fails "))
        && statement.failed.is_none()
    {
        // What was not tried is said not to have been.
        if matches!(statement.spoke, ObservationSource::Nobody(_)) {
            return None;
        }
        let asked = statement.questions.iter().any(|it| it.sqlstate == failure);
        return (!asked).then(|| format!("fails on rows with {failure}, and nobody asked"));
    }
    if full != empty && statement.depends_on_rows.is_none() {
        return Some(format!(
            "rows decide, and it does not say so\n  full: {full:?}\n  empty: {empty:?}"
        ));
    }
    let truth = comparable(full, statement);
    let said = comparable(&said, statement);
    (truth != said).then(|| format!("\n  truth: {truth:?}\n  said:  {said:?}"))
}

/// What holds up a statement that no transaction holds, so that its locks can be seen.
fn blockers(text: &str) -> Vec<(&'static str, &'static str)> {
    match text {
        _ if text.contains("DETACH") => vec![("logs", "ACCESS SHARE"), ("logs_1", "ACCESS SHARE")],
        _ if text.starts_with("VACUUM FULL") => vec![("sales", "ACCESS SHARE")],
        _ if text.starts_with("VACUUM") => vec![("sales", "SHARE UPDATE EXCLUSIVE")],
        _ => vec![("sales", "ROW EXCLUSIVE")],
    }
}

async fn alone(server: &Server, full: &str, (number, case): (usize, &Case)) -> Option<String> {
    let scratch = &server.scratch;
    let (truth, shadow) = (format!("truth_{number}"), format!("shadow_{number}"));
    let truth = scratch.clone_database(full, &truth).await.expect("a copy");
    let shadow = scratch
        .clone_database("shadow", &shadow)
        .await
        .expect("a copy");
    let full = actual_effects::verdict_alone(&truth, &case.text, &blockers(&case.text)).await;
    let step = Step {
        mode: Mode::Statements,
        ..step(&case.text, &case.text)
    };
    let observed = run::steps(&shadow, &[step], &af_db::event::silent)
        .await
        .expect("an observation");
    for name in ["truth", "shadow"] {
        scratch
            .drop_database(&format!("{name}_{number}"))
            .await
            .expect("dropped");
    }
    wrong(&observed[0].statements[0], (&full, &full), true)
}

/// Checks every statement on one version.
async fn judge(major: u32) {
    let Ground {
        server,
        full,
        empty,
        shadow,
    } = ground(major).await;
    let cases = cases(major);
    let mut failures = Vec::new();
    let (mut judged, mut same) = (0, 0);
    let within: Vec<&Case> = cases.iter().filter(|case| !case.alone).collect();
    let steps: Vec<Step> = within.iter().map(|case| case.step()).collect();
    let observed = run::each(&shadow.shadow.target, &steps)
        .await
        .expect("observations");
    let on = (
        actual_effects::session(&full.target).await,
        actual_effects::session(&empty.target).await,
    );
    let counts = actual_effects::counts(&on.0).await;
    for (case, observation) in within.iter().zip(&observed) {
        let pair = (case.before.as_str(), case.text.as_str());
        let filled = actual_effects::verdict(&on.0, pair, &counts).await;
        let mut bare = actual_effects::verdict(&on.1, pair, &BTreeMap::new()).await;
        // What is lost is lost only where there was something.
        bare.extend(
            filled
                .iter()
                .filter(|line| line.starts_with("loss "))
                .cloned(),
        );
        let statement = observation.statements.last().expect("a statement");
        judged += 1;
        same += usize::from(filled == bare);
        if let Some(wrong) = wrong(statement, (&filled, &bare), false) {
            failures.push(format!("{}: {wrong}", case.text));
        }
    }
    // Copies are made only of what nobody is connected to.
    on.0.close().await;
    on.1.close().await;
    shadow.shadow.session.close().await;
    for (number, case) in cases.iter().enumerate().filter(|(_, case)| case.alone) {
        judged += 1;
        let wrong = alone(&server, &full.name, (number, case)).await;
        failures.extend(wrong.map(|wrong| format!("{}: {wrong}", case.text)));
    }
    assert!(
        failures.is_empty(),
        "on {major}, {} of {judged} are wrong:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(
        judged >= 250 && same >= 200,
        "{judged} judged, {same} the same without rows"
    );
}

#[tokio::test]
async fn observations_match_reality_on_14() {
    judge(14).await;
}

#[tokio::test]
async fn observations_match_reality_on_15() {
    judge(15).await;
}

#[tokio::test]
async fn observations_match_reality_on_16() {
    judge(16).await;
}

#[tokio::test]
async fn observations_match_reality_on_17() {
    judge(17).await;
}

#[tokio::test]
async fn observations_match_reality_on_18() {
    judge(18).await;
}
