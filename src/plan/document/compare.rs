//! Owns the binding of a run to a plan: nothing has moved, or what has moved leaves the steps as they are, or no.

use std::collections::BTreeSet;

use crate::finding::{Finding, Severity};
use crate::plan::document::{Document, Planned, WayBack, effects};

/// How a plan stands to what would be planned now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Nothing has moved.
    Fresh,
    /// This has moved, and the steps are what they were.
    Explained(Vec<String>),
    /// This differs, so that what was approved is not what would run.
    Stale(Vec<String>),
}

/// What earlier runs of the same plan did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The versions they applied.
    pub done: BTreeSet<i64>,
    /// Whether they left a step half done.
    pub half: bool,
}

/// Holds a plan against what would be planned now.
pub fn compare(plan: &Document, now: &Document, earlier: &Earlier) -> Binding {
    let resuming = earlier.half || !earlier.done.is_empty();
    let mut stale = Vec::new();
    let mut moved = Vec::new();
    place(plan, now, &mut stale, &mut moved);
    limits(plan, now, &mut stale);
    steps(plan, now, (&earlier.done, resuming), &mut stale);
    consequences(plan, now, resuming, &mut stale, &mut moved);
    match (stale.is_empty(), moved.is_empty()) {
        (true, true) => Binding::Fresh,
        (true, false) => Binding::Explained(moved),
        (false, _) => {
            stale.extend(moved);
            Binding::Stale(stale)
        }
    }
}

/// Compares which database it is and what stands in it.
fn place(plan: &Document, now: &Document, stale: &mut Vec<String>, moved: &mut Vec<String>) {
    let mut differs = |what: &str, planned: &str, found: &str| {
        if planned != found {
            stale.push(format!("{what} is `{found}`, the plan is for `{planned}`"));
        }
    };
    let (planned, found) = (&plan.target, &now.target);
    differs("the environment", &plan.environment, &now.environment);
    differs("the database", &planned.database, &found.database);
    if let (Some(planned), Some(found)) = (&planned.system_identifier, &found.system_identifier) {
        differs("the cluster's identifier", planned, found);
    }
    differs(
        "the database's oid",
        &planned.database_oid.to_string(),
        &found.database_oid.to_string(),
    );
    let major = |version: i32| (version / 10_000).to_string();
    differs(
        "the server's major version",
        &major(planned.server_version),
        &major(found.server_version),
    );
    differs("search_path", &planned.search_path, &found.search_path);
    differs("the history table", &plan.history.table, &now.history.table);
    if planned.server_version != found.server_version {
        moved.push(format!(
            "the server's version was {} and is {}",
            planned.server_version, found.server_version
        ));
    }
    if planned.system_identifier.is_some() != found.system_identifier.is_some() {
        moved.push(
            "the cluster's identifier can be read by one role and not by the other".to_owned(),
        );
    }
    if plan.tool != now.tool {
        moved.push(format!(
            "it was planned by {}, this is {}",
            plan.tool, now.tool
        ));
    }
    if plan.history.sha256 != now.history.sha256 {
        moved.push(format!(
            "the history had {} applied migrations and has {}",
            plan.history.applied, now.history.applied
        ));
    }
    if plan.schema != now.schema {
        moved.push("the schema is not what it was when the plan was made".to_owned());
    }
}

fn limits(plan: &Document, now: &Document, stale: &mut Vec<String>) {
    for (name, planned, found) in [
        ("lock-timeout", plan.lock_timeout_ms, now.lock_timeout_ms),
        ("lock-budget", plan.lock_budget_ms, now.lock_budget_ms),
    ] {
        if planned != found {
            stale.push(format!(
                "migrations.{name} is {found} ms, the plan says {planned} ms"
            ));
        }
    }
}

/// Compares what is run.
fn steps(
    plan: &Document,
    now: &Document,
    (done, resuming): (&BTreeSet<i64>, bool),
    stale: &mut Vec<String>,
) {
    let versions = |document: &Document| -> BTreeSet<i64> {
        document.steps.iter().map(|step| step.version).collect()
    };
    let (planned, found) = (versions(plan), versions(now));
    for step in &plan.steps {
        if !found.contains(&step.version) && !done.contains(&step.version) {
            stale.push(format!("- {}: it is no longer pending", step.file));
        }
    }
    for step in &now.steps {
        if !planned.contains(&step.version) {
            stale.push(format!("+ {}: it is not in the plan", step.file));
        }
    }
    let order = |document: &Document| -> Vec<i64> {
        let both = document.steps.iter().map(|step| step.version);
        both.filter(|version| planned.contains(version) && found.contains(version))
            .collect()
    };
    if order(plan) != order(now) {
        stale.push("the steps stand in another order".to_owned());
    }
    for step in &now.steps {
        let was = plan.steps.iter().find(|was| was.version == step.version);
        if let Some(was) = was {
            differences(was, step, resuming, stale);
        }
    }
}

/// Tells in what a step differs, statement by statement.
fn differences(was: &Planned, is: &Planned, resuming: bool, stale: &mut Vec<String>) {
    let file = &is.file;
    let mut text = false;
    for difference in
        similar::capture_diff_slices(similar::Algorithm::Myers, &texts(was), &texts(is))
    {
        let (tag, old, new) = difference.as_tag_tuple();
        if tag == similar::DiffTag::Equal {
            continue;
        }
        text = true;
        let told = was.statements[old]
            .iter()
            .map(|statement| ('-', statement))
            .chain(is.statements[new].iter().map(|statement| ('+', statement)));
        stale.extend(told.map(|(sign, statement)| {
            format!("{sign} {file}:{}: {}", statement.line, statement.sql)
        }));
    }
    if !text && was.sha256 != is.sha256 {
        stale.push(format!(
            "{file}: the file is not the one that was planned ({}, the plan says {})",
            is.sha256, was.sha256
        ));
    }
    if was.file != is.file || was.name != is.name {
        stale.push(format!("{file}: it was planned as {}", was.file));
    }
    if !text && was.sha256 == is.sha256 && was.statements != is.statements {
        stale.push(format!(
            "{file}: the plan tells of its statements what is not so"
        ));
    }
    let back = |step: &Planned| match &step.way_back {
        WayBack::File { file, sha256 } => format!("{file} ({sha256})"),
        WayBack::Irreversible(reason) => format!("none, {reason}"),
        WayBack::None => "none".to_owned(),
    };
    let facts = |step: &Planned| {
        [
            ("how it runs", format!("{:?}", step.mode).to_lowercase()),
            ("its timeout in ms", format!("{:?}", step.timeout_ms)),
            ("its checksum", step.checksum.clone()),
            ("its way back", back(step)),
        ]
    };
    for ((what, planned), (_, found)) in facts(was).into_iter().zip(facts(is)) {
        if planned != found && !(text && what == "its checksum") {
            stale.push(format!(
                "{file}: {what} is {found}, the plan says {planned}"
            ));
        }
    }
    if !text {
        observed(was, is, resuming, stale);
    }
    if was.continues_behind != is.continues_behind && !resuming {
        stale.push(format!(
            "{file}: it would go on behind {} of its units, the plan says behind {}",
            is.continues_behind, was.continues_behind
        ));
    }
}

/// Tells which statements do something else than the plan says; behind what is done already they may do less.
fn observed(was: &Planned, is: &Planned, resuming: bool, stale: &mut Vec<String>) {
    if resuming && was.continues_behind != is.continues_behind {
        return;
    }
    match (&was.observed, &is.observed) {
        (Some(was), Some(now)) => {
            for (seen, line) in now.statements.iter().zip(&is.statements) {
                if was.statements.get(seen.number - 1) != Some(seen) {
                    stale.push(format!(
                        "{}:{}: what it does is not what the plan says",
                        is.file, line.line
                    ));
                    let before = was.statements.get(seen.number - 1);
                    stale.extend(effects::differences(before, seen));
                }
            }
        }
        (None, None) => {}
        (Some(_), None) => stale.push(format!("{}: it could not be tried", is.file)),
        (None, Some(_)) => stale.push(format!("{}: the plan does not say what it does", is.file)),
    }
}

fn texts(step: &Planned) -> Vec<&str> {
    let texts = step.statements.iter().map(|statement| &*statement.sql);
    texts.collect()
}

/// Compares what follows from the steps.
fn consequences(
    plan: &Document,
    now: &Document,
    resuming: bool,
    stale: &mut Vec<String>,
    moved: &mut Vec<String>,
) {
    for loss in &now.losses {
        if !plan.losses.contains(loss) {
            stale.push(format!(
                "the data of {loss} would be lost, the plan does not say so"
            ));
        }
    }
    for loss in plan.losses.iter().filter(|loss| !now.losses.contains(loss)) {
        let told = format!("the plan says that the data of {loss} is lost, it would not be");
        if resuming {
            moved.push(told);
        } else {
            stale.push(told);
        }
    }
    let key = |finding: &Finding| {
        (
            finding.code.clone(),
            finding.subject.clone(),
            finding.severity,
        )
    };
    let known: BTreeSet<_> = plan.findings.iter().map(key).collect();
    for finding in &now.findings {
        if known.contains(&key(finding)) {
            continue;
        }
        let told = format!("{} {}: {}", finding.code, finding.subject, finding.message);
        if finding.severity == Severity::Error {
            stale.push(format!("the plan does not say {told}"));
        } else {
            moved.push(format!("now there is {told}"));
        }
    }
    if resuming {
        return;
    }
    let here: BTreeSet<_> = now.findings.iter().map(key).collect();
    for finding in plan.findings.iter().filter(|one| !here.contains(&key(one))) {
        moved.push(format!("gone is {} {}", finding.code, finding.subject));
    }
    let same_ground = plan.schema == now.schema && plan.history == now.history;
    if same_ground && plan.schema_after != now.schema_after {
        stale.push("the plan says another schema than the steps would leave".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::document::tests::{document, planned};

    fn both() -> (Document, Document) {
        let steps = || vec![planned(1, "SELECT 1"), planned(2, "SELECT 2")];
        (document(steps()), document(steps()))
    }

    fn said(change: impl Fn(&mut Document)) -> Binding {
        let (plan, mut now) = both();
        change(&mut now);
        compare(&plan, &now, &Earlier::default())
    }

    fn stale(change: impl Fn(&mut Document)) -> String {
        match said(change) {
            Binding::Stale(lines) => lines.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_moved() {
        assert_eq!(said(|_| {}), Binding::Fresh);
    }

    #[test]
    fn what_leaves_the_steps_alone_is_explained() {
        let moved = said(|now| {
            now.schema = "sha256:c".to_owned();
            now.schema_after = Some("sha256:d".to_owned());
            now.target.server_version += 1;
            now.findings.push(Finding::warn("X", "t", "odd"));
        });
        let Binding::Explained(lines) = moved else {
            panic!("{moved:?}")
        };
        insta::assert_snapshot!(lines.join("\n"), @"
        the server's version was 150018 and is 150019
        the schema is not what it was when the plan was made
        now there is X t: odd
        ");
    }

    #[test]
    fn another_database_is_never_taken_for_it() {
        insta::assert_snapshot!(stale(|now| {
            now.environment = "staging".to_owned();
            now.target.database = "other".to_owned();
            now.target.system_identifier = Some("8".to_owned());
            now.target.database_oid = 5;
            now.target.server_version = 160_000;
        }), @"
        the environment is `staging`, the plan is for `production`
        the database is `other`, the plan is for `app`
        the cluster's identifier is `8`, the plan is for `7`
        the database's oid is `5`, the plan is for `16384`
        the server's major version is `16`, the plan is for `15`
        the server's version was 150018 and is 160000
        ");
    }

    #[test]
    fn other_steps_are_told_statement_by_statement() {
        insta::assert_snapshot!(stale(|now| {
            now.steps[0] = planned(1, "SELECT 3");
            now.steps[1] = planned(3, "SELECT 2");
            now.losses.push("public.a".to_owned());
        }), @"
        - migrations/V2__m.sql: it is no longer pending
        + migrations/V3__m.sql: it is not in the plan
        - migrations/V1__m.sql:1: SELECT 1
        + migrations/V1__m.sql:1: SELECT 3
        the data of public.a would be lost, the plan does not say so
        ");
    }

    #[test]
    fn what_a_plan_makes_up_is_found() {
        assert!(stale(|now| now.schema_after = None).contains("another schema"));
        assert!(stale(|now| now.steps[0].timeout_ms = Some(5)).contains("its timeout"));
        assert!(stale(|now| now.steps[0].sha256 = "x".to_owned()).contains("not the one"));
        assert!(stale(|now| now.lock_timeout_ms = 9).contains("lock-timeout"));
        assert!(stale(|now| now.steps.reverse()).contains("another order"));
        assert!(
            stale(|now| now.findings.push(Finding::error("D01", "t", "gone"))).contains("D01 t")
        );
        let (mut plan, now) = both();
        plan.losses.push("public.a".to_owned());
        assert!(matches!(
            compare(&plan, &now, &Earlier::default()),
            Binding::Stale(_)
        ));
    }

    #[test]
    fn a_step_that_an_earlier_run_left_half_done_goes_on() {
        let (plan, mut now) = both();
        now.steps[0].continues_behind = 1;
        let half = |half| Earlier {
            half,
            ..Earlier::default()
        };
        assert_eq!(compare(&plan, &now, &half(true)), Binding::Fresh);
        assert!(matches!(
            compare(&plan, &now, &half(false)),
            Binding::Stale(_)
        ));
    }

    #[test]
    fn what_an_earlier_run_of_the_plan_did_is_no_difference() {
        let (mut plan, mut now) = both();
        plan.losses.push("public.a".to_owned());
        now.steps.remove(0);
        now.schema = "sha256:half".to_owned();
        let done = BTreeSet::from([1]);
        let earlier = Earlier { done, half: false };
        assert!(matches!(
            compare(&plan, &now, &earlier),
            Binding::Explained(_)
        ));
        assert!(matches!(
            compare(&plan, &now, &Earlier::default()),
            Binding::Stale(_)
        ));
    }
}
