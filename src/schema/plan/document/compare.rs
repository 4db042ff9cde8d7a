//! Compares a saved plan with what would be planned now: up to date, still valid, or stale.

use std::collections::BTreeSet;

use crate::plan::document::resumed_names::{self, ResumedNames};
use crate::plan::document::{PlanDocument, PlannedDown, PlannedMigration, observation_diff};
use crate::plan::observe::reach::{Code, Reach};
use crate::plan::observe::{NewRelations, StepObservation};

/// How a plan compares to what would be planned now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanValidity {
    /// Nothing has changed.
    UpToDate,
    /// These changes do not affect the steps.
    StillValid(Vec<String>),
    /// These differences affect what would run.
    Stale(Vec<String>),
}

/// What earlier runs of the same plan did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierRuns {
    /// The versions they applied.
    pub done: BTreeSet<i64>,
    /// Whether they left a step partially applied.
    pub half: bool,
}

/// Compares a plan against what would be planned now.
pub fn compare(plan: &PlanDocument, now: &PlanDocument, earlier: &EarlierRuns) -> PlanValidity {
    let resuming = earlier.half || !earlier.done.is_empty();
    let mut stale = Vec::new();
    let mut moved = Vec::new();
    place(plan, now, resuming, &mut stale, &mut moved);
    limits(plan, now, &mut stale);
    let names = resuming.then(|| ResumedNames::after(plan, now, &earlier.done));
    steps(plan, now, &earlier.done, names.as_ref(), &mut stale);
    consequences(plan, now, names.as_ref(), &mut stale, &mut moved);
    match &names {
        Some(names) => names.reach(plan, now, &mut stale),
        None => reach(&plan.reach, &now.reach, &mut stale),
    }
    match (stale.is_empty(), moved.is_empty()) {
        (true, true) => PlanValidity::UpToDate,
        (true, false) => PlanValidity::StillValid(moved),
        (false, _) => {
            stale.extend(moved);
            PlanValidity::Stale(stale)
        }
    }
}

/// Compares the database, its history and its schema.
fn place(
    plan: &PlanDocument,
    now: &PlanDocument,
    resuming: bool,
    stale: &mut Vec<String>,
    moved: &mut Vec<String>,
) {
    let mut differs = |what: &str, planned: &str, found: &str| {
        if planned != found {
            stale.push(format!("{what} is `{found}`, the plan is for `{planned}`"));
        }
    };
    let (planned, found) = (&plan.target, &now.target);
    differs("the environment", &plan.environment, &now.environment);
    differs("the database", &planned.database, &found.database);
    let unknown =
        |identifier: &Option<String>| identifier.clone().unwrap_or_else(|| "unknown".to_owned());
    differs(
        "the cluster identifier",
        &unknown(&planned.system_identifier),
        &unknown(&found.system_identifier),
    );
    differs(
        "the database OID",
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
    differs("the program", &plan.tool, &now.tool);
    // Who asks now may be another process, but a plan that must be approved by another person says who asked.
    let asked = |author: &Option<String>| match author {
        Some(_) => "named",
        None => "not named",
    };
    differs("the author", asked(&plan.author), asked(&now.author));
    if planned.server_version != found.server_version {
        moved.push(format!(
            "the server version was {} and is now {}",
            planned.server_version, found.server_version
        ));
    }
    if plan.history.sha256 != now.history.sha256 {
        let told = format!(
            "the history had {} applied migrations and now has {}",
            plan.history.applied, now.history.applied
        );
        match resuming {
            true => moved.push(told),
            false => stale.push(told),
        }
    } else if plan.history != now.history {
        stale.push("the history entry of the plan does not match the history".to_owned());
    }
    if plan.schema != now.schema {
        moved.push("the schema has changed since the plan was made".to_owned());
    }
}

fn limits(plan: &PlanDocument, now: &PlanDocument, stale: &mut Vec<String>) {
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
    plan: &PlanDocument,
    now: &PlanDocument,
    done: &BTreeSet<i64>,
    names: Option<&ResumedNames>,
    stale: &mut Vec<String>,
) {
    let versions = |document: &PlanDocument| -> BTreeSet<i64> {
        document.steps.iter().map(|step| step.version).collect()
    };
    let (planned, found) = (versions(plan), versions(now));
    for step in &plan.steps {
        if !found.contains(&step.version) && !done.contains(&step.version) {
            stale.push(format!("- {}: no longer pending", step.file));
        }
    }
    for step in &now.steps {
        if !planned.contains(&step.version) {
            stale.push(format!("+ {}: not in the plan", step.file));
        }
    }
    let order = |document: &PlanDocument| -> Vec<i64> {
        let both = document.steps.iter().map(|step| step.version);
        both.filter(|version| planned.contains(version) && found.contains(version))
            .collect()
    };
    if order(plan) != order(now) {
        stale.push("the order of the steps differs".to_owned());
    }
    for step in &now.steps {
        let was = plan.steps.iter().find(|was| was.version == step.version);
        if let Some(was) = was {
            differences(was, step, names, stale);
        }
    }
}

/// Reports how a step differs, by statement.
fn differences(
    was: &PlannedMigration,
    is: &PlannedMigration,
    names: Option<&ResumedNames>,
    stale: &mut Vec<String>,
) {
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
            "{file}: the file was modified after planning (sha256 is {}, the plan says {})",
            is.sha256, was.sha256
        ));
    }
    if was.file != is.file || was.name != is.name {
        stale.push(format!("{file}: planned as {}", was.file));
    }
    if !text && was.sha256 == is.sha256 && was.statements != is.statements {
        stale.push(format!(
            "{file}: the statements listed in the plan do not match the file"
        ));
    }
    let back = |step: &PlannedMigration| match &step.way_back {
        PlannedDown::File { file, sha256 } => format!("{file} ({sha256})"),
        PlannedDown::Irreversible(reason) => format!("none, {reason}"),
        PlannedDown::None => "none".to_owned(),
    };
    let facts = |step: &PlannedMigration| {
        [
            (
                "transaction mode",
                format!("{:?}", step.mode).to_lowercase(),
            ),
            ("timeout in ms", format!("{:?}", step.timeout_ms)),
            ("checksum", step.checksum.clone()),
            ("down migration", back(step)),
        ]
    };
    for ((what, planned), (_, found)) in facts(was).into_iter().zip(facts(is)) {
        if planned != found && !(text && what == "checksum") {
            stale.push(format!(
                "{file}: {what} is {found}, the plan says {planned}"
            ));
        }
    }
    if !text {
        observed(was, is, names, stale);
    }
    if was.continues_behind != is.continues_behind && names.is_none() {
        stale.push(format!(
            "{file}: would continue after {} units, the plan says after {}",
            is.continues_behind, was.continues_behind
        ));
    }
}

/// Reports the statements whose effects differ from the plan.
///
/// Where a plan is resumed, what its earlier steps have created is left out, because the plan leaves it out as well, and of
/// a step that stopped half-way only the rest is compared.
fn observed(
    was: &PlannedMigration,
    is: &PlannedMigration,
    names: Option<&ResumedNames>,
    stale: &mut Vec<String>,
) {
    let (was_seen, is_seen) = match (&was.observed, &is.observed) {
        (Some(was), Some(is)) => (was, is),
        (None, None) => return,
        (Some(_), None) => {
            stale.push(format!(
                "{}: could not be run on the shadow database",
                is.file
            ));
            return;
        }
        (None, Some(_)) => {
            stale.push(format!("{}: the plan has no observed effects", is.file));
            return;
        }
    };
    let before = stale.len();
    for now in &is_seen.statements {
        let planned = was_seen
            .statements
            .iter()
            .find(|it| it.number == now.number);
        let (planned, now) = match names {
            Some(names) => (
                planned.map(resumed_names::plain),
                resumed_names::plain(&names.before(now, planned)),
            ),
            None => (planned.cloned(), now.clone()),
        };
        if planned.as_ref() != Some(&now) {
            let line = is.statements.get(now.number - 1).map_or(1, |it| it.line);
            stale.push(format!(
                "{}:{line}: the effects differ from the plan",
                is.file
            ));
            stale.extend(observation_diff::differences(planned.as_ref(), &now));
        }
    }
    let left = |step: &StepObservation| -> Vec<NewRelations> {
        let left = step.left.iter();
        left.filter(|left| left.unit > is.continues_behind)
            .cloned()
            .collect()
    };
    if left(was_seen) != left(is_seen) {
        stale.push(format!(
            "{}: created or renamed relations differ from the plan",
            is.file
        ));
    }
    if names.is_none() && stale.len() == before && was_seen != is_seen {
        stale.push(format!(
            "{}: the observed effects differ from the plan",
            is.file
        ));
    }
}

/// Reports changed code that the steps can trigger.
fn reach(plan: &Reach, now: &Reach, stale: &mut Vec<String>) {
    let before = stale.len();
    let is_same = |one: &Code, other: &Code| {
        (&one.kind, &one.name, &one.on) == (&other.kind, &other.name, &other.on)
    };
    for code in &now.code {
        match plan.code.iter().find(|was| is_same(was, code)) {
            Some(was) if was == code => {}
            Some(_) => stale.push(format!(
                "{code} was changed and can be triggered by the steps"
            )),
            None => stale.push(format!("{code} is new and can be triggered by the steps")),
        }
    }
    for was in &plan.code {
        if !now.code.iter().any(|code| is_same(was, code)) {
            stale.push(format!(
                "{was} was dropped and could be triggered by the steps"
            ));
        }
    }
    if stale.len() == before && plan != now {
        stale.push("the code that the steps can trigger differs from the plan".to_owned());
    }
}

fn texts(step: &PlannedMigration) -> Vec<&str> {
    let texts = step.statements.iter().map(|statement| &*statement.sql);
    texts.collect()
}

/// Compares what follows from the steps.
fn consequences(
    plan: &PlanDocument,
    now: &PlanDocument,
    names: Option<&ResumedNames>,
    stale: &mut Vec<String>,
    moved: &mut Vec<String>,
) {
    let resuming = names.is_some();
    let here: Vec<String> = match names {
        Some(names) => {
            let same = |loss: &String| plan.losses.contains(loss).then(|| loss.clone());
            let losses = now.losses.iter();
            losses
                .filter_map(|loss| same(loss).or_else(|| names.name(loss)))
                .collect()
        }
        None => now.losses.clone(),
    };
    for loss in &here {
        if !plan.losses.contains(loss) {
            stale.push(format!("data loss not in the plan: {loss}"));
        }
    }
    for loss in plan.losses.iter().filter(|loss| !here.contains(loss)) {
        let told = format!("data loss in the plan that no longer occurs: {loss}");
        if resuming {
            moved.push(told);
        } else {
            stale.push(told);
        }
    }
    for finding in &now.findings {
        if plan.findings.contains(finding) {
            continue;
        }
        let told = format!("{} {}: {}", finding.code, finding.subject, finding.message);
        // Whether rows can be asked within the time depends on how busy the server is. What a rule says of a table that
        // was there before the plan may not apply to one that the plan has created.
        let volatile = finding.code == "plan-rows-not-asked";
        let follows = resuming && !finding.code.starts_with("plan-");
        if volatile || follows {
            moved.push(format!("new finding: {told}"));
        } else {
            stale.push(format!("finding not in the plan: {told}"));
        }
    }
    if resuming {
        return;
    }
    let gone = plan.findings.iter();
    for finding in gone.filter(|finding| !now.findings.contains(finding)) {
        moved.push(format!(
            "finding no longer present: {} {}",
            finding.code, finding.subject
        ));
    }
    let same_ground = plan.schema == now.schema && plan.history == now.history;
    let is_predicted = |document: &PlanDocument| document.schema_after.is_some();
    let differs = plan.schema_after != now.schema_after;
    if differs && (same_ground || is_predicted(plan) != is_predicted(now)) {
        stale.push("the resulting schema differs from the plan".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::finding::{Finding, Location};
    use crate::plan::document::tests::{document, planned};
    use crate::plan::observe::lock::LockMode;
    use crate::plan::observe::{
        AccessChange, CascadeCause, DroppedObject, IndexBuild, RelationKind, RelationLock, Renamed,
        Rewrite, RewriteKind, Scan, StatementObservation, WrittenRows,
    };

    fn both() -> (PlanDocument, PlanDocument) {
        let steps = || vec![planned(1, "SELECT 1"), planned(2, "SELECT 2")];
        (document(steps()), document(steps()))
    }

    fn said(change: impl Fn(&mut PlanDocument)) -> PlanValidity {
        let (plan, mut now) = both();
        change(&mut now);
        compare(&plan, &now, &EarlierRuns::default())
    }

    fn stale(change: impl Fn(&mut PlanDocument)) -> String {
        match said(change) {
            PlanValidity::Stale(lines) => lines.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unchanged_plans_are_up_to_date() {
        assert_eq!(said(|_| {}), PlanValidity::UpToDate);
    }

    #[test]
    fn changes_that_do_not_affect_steps_keep_the_plan_valid() {
        let moved = said(|now| {
            now.schema = "sha256:c".to_owned();
            now.schema_after = Some("sha256:d".to_owned());
            now.target.server_version += 1;
            now.findings
                .push(Finding::note("plan-rows-not-asked", "t", "odd"));
        });
        let PlanValidity::StillValid(lines) = moved else {
            panic!("{moved:?}")
        };
        insta::assert_snapshot!(lines.join("\n"), @"
        the server version was 150018 and is now 150019
        the schema has changed since the plan was made
        new finding: plan-rows-not-asked t: odd
        ");
    }

    #[test]
    fn plans_for_another_database_are_stale() {
        insta::assert_snapshot!(stale(|now| {
            now.environment = "staging".to_owned();
            now.target.database = "other".to_owned();
            now.target.system_identifier = Some("8".to_owned());
            now.target.database_oid = 5;
            now.target.server_version = 160_000;
        }), @"
        the environment is `staging`, the plan is for `production`
        the database is `other`, the plan is for `app`
        the cluster identifier is `8`, the plan is for `7`
        the database OID is `5`, the plan is for `16384`
        the server's major version is `16`, the plan is for `15`
        the server version was 150018 and is now 160000
        ");
    }

    #[test]
    fn changed_steps_are_listed_by_statement() {
        insta::assert_snapshot!(stale(|now| {
            now.steps[0] = planned(1, "SELECT 3");
            now.steps[1] = planned(3, "SELECT 2");
            now.losses.push("public.a".to_owned());
        }), @"
        - migrations/V2__m.sql: no longer pending
        + migrations/V3__m.sql: not in the plan
        - migrations/V1__m.sql:1: SELECT 1
        + migrations/V1__m.sql:1: SELECT 3
        data loss not in the plan: public.a
        ");
    }

    #[test]
    fn forged_fields_make_a_plan_stale() {
        assert!(stale(|now| now.schema_after = None).contains("resulting schema differs"));
        assert!(stale(|now| now.steps[0].timeout_ms = Some(5)).contains("timeout in ms"));
        assert!(
            stale(|now| now.steps[0].sha256 = "x".to_owned()).contains("modified after planning")
        );
        assert!(stale(|now| now.lock_timeout_ms = 9).contains("lock-timeout"));
        assert!(stale(|now| now.steps.reverse()).contains("order of the steps differs"));
        assert!(
            stale(|now| now.findings.push(Finding::error("D01", "t", "gone"))).contains("D01 t")
        );
        let (mut plan, now) = both();
        plan.losses.push("public.a".to_owned());
        assert!(matches!(
            compare(&plan, &now, &EarlierRuns::default()),
            PlanValidity::Stale(_)
        ));
    }

    #[test]
    fn partially_applied_steps_continue() {
        let (plan, mut now) = both();
        now.steps[0].continues_behind = 1;
        let half = |half| EarlierRuns {
            half,
            ..EarlierRuns::default()
        };
        assert_eq!(compare(&plan, &now, &half(true)), PlanValidity::UpToDate);
        assert!(matches!(
            compare(&plan, &now, &half(false)),
            PlanValidity::Stale(_)
        ));
    }

    #[test]
    fn steps_applied_by_an_earlier_run_are_no_difference() {
        let (mut plan, mut now) = both();
        plan.losses.push("public.a".to_owned());
        now.steps.remove(0);
        now.schema = "sha256:half".to_owned();
        let done = BTreeSet::from([1]);
        let earlier = EarlierRuns { done, half: false };
        assert!(matches!(
            compare(&plan, &now, &earlier),
            PlanValidity::StillValid(_)
        ));
        assert!(matches!(
            compare(&plan, &now, &EarlierRuns::default()),
            PlanValidity::Stale(_)
        ));
    }

    fn table() -> String {
        "public.a".to_owned()
    }

    /// A statement that does everything.
    fn seen() -> StatementObservation {
        StatementObservation {
            number: 1,
            start: 3,
            verb: "ALTER TABLE".to_owned(),
            locks: vec![RelationLock {
                relation: table(),
                kind: RelationKind::Table,
                mode: LockMode::AccessExclusive,
            }],
            rewrites: vec![Rewrite {
                relation: table(),
                how: RewriteKind::Rewritten,
            }],
            scans: vec![Scan {
                relation: table(),
                times: 1,
            }],
            builds: vec![IndexBuild {
                relation: table(),
                index: "public.a_i".to_owned(),
                again: true,
            }],
            rows: vec![WrittenRows {
                relation: table(),
                inserted: 1,
                updated: 2,
                deleted: 3,
                deletes: true,
                all: true,
                along: Some(CascadeCause {
                    with: "public.b".to_owned(),
                    key: "fk".to_owned(),
                }),
            }],
            dropped: vec![DroppedObject {
                kind: "table".to_owned(),
                name: table(),
                loses: Some(table()),
                named: true,
            }],
            security: vec![AccessChange {
                object: table(),
                change: "PUBLIC may SELECT".to_owned(),
                opens: true,
            }],
            depends_on_rows: Some("how many".to_owned()),
            ..StatementObservation::default()
        }
    }

    /// A plan in which every field says something.
    fn rich() -> PlanDocument {
        let mut step = planned(1, "SELECT 1");
        step.timeout_ms = Some(5);
        step.continues_behind = 1;
        step.way_back = PlannedDown::File {
            file: "migrations/V1__m.down.sql".to_owned(),
            sha256: "sha256:d".to_owned(),
        };
        step.observed = Some(StepObservation {
            label: "migrations/V1__m.sql".to_owned(),
            in_transaction: true,
            statements: vec![seen()],
            left: vec![NewRelations {
                unit: 2,
                created: vec!["public.c".to_owned()],
                renamed: vec![Renamed {
                    from: table(),
                    to: "public.d".to_owned(),
                }],
            }],
        });
        let mut plan = document(vec![step]);
        plan.author = Some("alice".to_owned());
        plan.history.version = Some(0);
        plan.losses = vec![table()];
        let finding = Finding::note("X01", "a", "odd")
            .place(Location::at("migrations/V1__m.sql", 1, 1))
            .help("look");
        plan.findings = vec![finding];
        plan.reach = Reach {
            code: vec![Code {
                kind: "trigger".to_owned(),
                name: "t".to_owned(),
                on: Some(table()),
                sha256: "e".to_owned(),
            }],
            tables: vec![table()],
            opaque: vec!["function public.f()".to_owned()],
        };
        plan
    }

    /// Returns the paths of all values that hold no others, and of all that do.
    fn paths(value: &Value, at: &str, into: &mut Vec<String>) {
        let mut further = |key: &str, inner: &Value| {
            let path = format!("{at}/{key}");
            into.push(path.clone());
            paths(inner, &path, into);
        };
        match value {
            Value::Object(map) => map.iter().for_each(|(key, inner)| further(key, inner)),
            Value::Array(all) => {
                for (index, inner) in all.iter().enumerate() {
                    further(&index.to_string(), inner);
                }
            }
            _ => {}
        }
    }

    fn altered(value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) => Value::from(format!("{text}x")),
            Value::Number(number) => Value::from(number.as_i64()? + 1),
            Value::Bool(is) => Value::from(!is),
            _ => return None,
        })
    }

    fn remove(value: &mut Value, path: &str) {
        let (parent, key) = path.rsplit_once('/').expect("a path");
        match value.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.shift_remove(key)),
            Some(Value::Array(all)) => drop(all.remove(key.parse().expect("an index"))),
            _ => unreachable!("a value stands in another"),
        }
    }

    /// Returns how a text that was tampered with is taken: refused as a file, stale, or let through.
    fn taken(text: &str, now: &PlanDocument) -> &'static str {
        match PlanDocument::parse("plan.json", text) {
            Err(_) => "refused",
            Ok(plan) => match compare(&plan, now, &EarlierRuns::default()) {
                PlanValidity::Stale(_) => "stale",
                PlanValidity::UpToDate | PlanValidity::StillValid(_) => "let through",
            },
        }
    }

    #[test]
    fn every_field_that_is_altered_or_removed_is_refused() {
        let now = rich();
        let text = now.print().unwrap();
        assert_eq!(taken(&text, &now), "let through");
        let whole: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        paths(&whole, "", &mut all);
        assert!(all.len() > 90, "{}", all.len());
        let mut through = Vec::new();
        for path in &all {
            let mut removed = whole.clone();
            remove(&mut removed, path);
            let mut ways = vec![("removed", removed)];
            if let Some(other) = whole.pointer(path).and_then(altered) {
                let mut changed = whole.clone();
                *changed.pointer_mut(path).unwrap() = other;
                ways.push(("altered", changed));
            }
            for (way, tampered) in ways {
                let by_hand = serde_json::to_string_pretty(&tampered).unwrap() + "\n";
                assert_eq!(taken(&by_hand, &now), "refused", "{way} {path}");
                // Anyone who knows how can make the file whole again; then what it says is held against what is so.
                let Ok(forged) = serde_json::from_value::<PlanDocument>(tampered) else {
                    continue;
                };
                let forged = forged.print().unwrap();
                if forged != text && taken(&forged, &now) == "let through" {
                    through.push(format!("{way} {path}"));
                }
            }
        }
        // Who asked cannot be known again: approvals by several keys are what guarantees that others have looked. What the
        // schema was, and which minor version the server had, is reported when the plan runs.
        assert_eq!(
            through,
            [
                "altered /author",
                "altered /target/server-version",
                "altered /schema"
            ]
        );
    }

    #[test]
    fn unknown_fields_and_another_layout_are_refused() {
        let now = rich();
        let text = now.print().unwrap();
        for other in [
            text.replacen("{\n", "{\n  \"approved\": true,\n", 1),
            text.replacen("  \"tool\"", "  \"tool\": \"x\",\n  \"tool\"", 1),
            text.replace("  ", " "),
            format!("{text} "),
        ] {
            assert_ne!(other, text);
            assert_eq!(taken(&other, &now), "refused", "{other}");
        }
    }
}
