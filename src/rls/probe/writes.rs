//! Probes writing: inserting for another tenant, updating and deleting without a condition, moving a row to another tenant.
//!
//! What counts is B's state as the owner sees it afterwards, not what the statement said. Conditions are left out on purpose: with
//! a WHERE the policies for reading apply as well and hide what a bare statement reaches.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::probe::context::{Leak, ProbeContext};
use crate::probe::leak_cause;
use crate::probe::merge_command;
use crate::probe::write_statements::compose;
use crate::probed_schema::Relation;
use crate::runner::{self, Answer, Identity, RunAs, Step};
use crate::seed::insert;
use crate::seed::tenancy_map::Side;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Weight};

/// One statement to try, with the one that must succeed beside it.
pub(super) struct Attempt {
    pub(super) command: &'static str,
    /// The plain command that does the same.
    pub(super) like: &'static str,
    pub(super) target: i64,
    /// The table whose rows it would reach.
    pub(super) base: i64,
    pub(super) identity: Identity,
    pub(super) sql: Sql,
    pub(super) control: Option<Sql>,
    /// Run as the owner before.
    pub(super) before: Vec<Sql>,
}

/// Tries every write as every request.
pub(crate) async fn all(context: &mut ProbeContext<'_>) -> Result<()> {
    let mut attempts = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for identity in context.everyone() {
        for (target, base) in targets(context) {
            let rights = context.facts.rights(&identity.role, target.oid);
            if rights.insertable.is_empty() && rights.updatable.is_empty() && !rights.may("DELETE")
            {
                continue;
            }
            // Equal policies answer unusual requests equally: one table of each kind speaks for all.
            if identity.title != "a"
                && !known.insert((
                    identity.clone().title,
                    identity.role.clone(),
                    signature(context, target),
                ))
            {
                continue;
            }
            compose(context, &mut attempts, &identity, (target, base, &rights));
        }
    }
    run(context, attempts).await?;
    as_others(context).await?;
    with_one_row(context).await?;
    let mut attempts = Vec::new();
    for identity in context.members() {
        for (target, base) in targets(context) {
            let rights = context.facts.rights(&identity.role, target.oid);
            merge_command::compose(context, &mut attempts, &identity, (target, base, &rights));
        }
    }
    run(context, attempts).await
}

/// What the usual member may not do with its own rows is tried as members of other ranks: one of them may.
async fn as_others(context: &mut ProbeContext<'_>) -> Result<()> {
    let open = unshown_yet(context);
    let others: Vec<Identity> = context
        .everyone()
        .into_iter()
        .filter(|identity| identity.title != "a" && identity.is_of_a())
        .collect();
    let mut attempts = Vec::new();
    for identity in &others {
        for (target, base) in targets(context) {
            if open.contains(&(target.title(), identity.role.clone())) {
                let rights = context.facts.rights(&identity.role, target.oid);
                compose(context, &mut attempts, identity, (target, base, &rights));
            }
        }
    }
    run(context, attempts).await?;
    forget_shown(context);
    Ok(())
}

/// A statement without a condition is refused as a whole where one of the rows may not be changed: what did not succeed is
/// tried where A has one row only.
async fn with_one_row(context: &mut ProbeContext<'_>) -> Result<()> {
    let open = unshown_yet(context);
    let mut attempts = Vec::new();
    for identity in context.members() {
        for (target, base) in targets(context) {
            if !open.contains(&(target.title(), identity.role.clone())) {
                continue;
            }
            let Some(alone) = leave_one(context, base) else {
                continue;
            };
            let rights = context.facts.rights(&identity.role, target.oid);
            let first = attempts.len();
            compose(context, &mut attempts, &identity, (target, base, &rights));
            for attempt in &mut attempts[first..] {
                attempt.before.push(alone.clone());
            }
        }
    }
    run(context, attempts).await?;
    forget_shown(context);
    Ok(())
}

/// Removes all rows of A but the usual one, whatever points to them.
fn leave_one(context: &ProbeContext<'_>, base: &Relation) -> Option<Sql> {
    let row = context.row(base.oid, Side::A)?;
    let key = context.facts.primary_key(base.oid);
    let parts: Vec<Sql> = key
        .iter()
        .filter_map(|name| {
            let value = insert::literal(row.values.get(name)?, &base.column(name)?.type_name);
            Some(Sql::fill(
                "t.{} = {}",
                &[&Ident::new(name.as_str()), &value],
            ))
        })
        .collect();
    if key.is_empty() || parts.len() < key.len() {
        return None;
    }
    Some(Sql::fill(
        "SET LOCAL session_replication_role = replica; DELETE FROM {} AS t WHERE {} AND NOT ({}); SET LOCAL session_replication_role = origin",
        &[
            &base.object(),
            &context.tenancy_map.is_of(base.oid, "t", 0, 0),
            &Sql::join(parts, " AND "),
        ],
    ))
}

/// Returns the tables and roles with a command of which nothing is shown yet.
fn unshown_yet(context: &ProbeContext<'_>) -> std::collections::BTreeSet<(String, String)> {
    context
        .verdicts
        .iter()
        .filter(|one| {
            one.verdict == ProbeOutcome::Inconclusive && COMMANDS.contains(&one.command.as_str())
        })
        .map(|one| (one.object.clone(), one.role.clone()))
        .collect()
}

/// What was shown in the end is not said to be open.
fn forget_shown(context: &mut ProbeContext<'_>) {
    let held: std::collections::BTreeSet<(String, String, String)> = context
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Passed)
        .map(|one| (one.object.clone(), one.command.clone(), one.role.clone()))
        .collect();
    context.verdicts.retain(|one| {
        one.verdict != ProbeOutcome::Inconclusive
            || !COMMANDS.contains(&one.command.as_str())
            || !held.contains(&(one.object.clone(), one.command.clone(), one.role.clone()))
    });
}

/// The commands that are tried here.
const COMMANDS: [&str; 4] = ["insert", "update", "move", "delete"];

/// Returns what can be written to: tenant tables, and views whose columns are those of a tenant table below.
fn targets<'a>(context: &ProbeContext<'a>) -> Vec<(&'a Relation, &'a Relation)> {
    let mut found: Vec<(&Relation, &Relation)> = context
        .tenant_tables()
        .into_iter()
        .map(|table| (table, table))
        .collect();
    for view in context
        .facts
        .relations
        .values()
        .filter(|relation| relation.kind == "v")
    {
        let base = view
            .reads
            .iter()
            .filter_map(|oid| context.facts.relations.get(oid))
            .find(|base| {
                base.is_table()
                    && context.tenancy_map.is_tenant_table(base.oid)
                    && view
                        .columns
                        .iter()
                        .any(|column| base.column(&column.name).is_some())
            });
        found.extend(base.map(|base| (view, base)));
    }
    found
}

fn signature(context: &ProbeContext<'_>, table: &Relation) -> String {
    let policies: Vec<String> = context
        .facts
        .policies_of(table.oid)
        .map(|policy| {
            format!(
                "{} {} {:?} {}",
                policy.command,
                policy.permissive,
                policy.roles,
                policy.text().replace(&table.name, "")
            )
        })
        .collect();
    let own = if table.is_view() || policies.is_empty() {
        table.title()
    } else {
        String::new()
    };
    format!("{own}{}{}{policies:?}", table.protected, table.forced)
}

async fn run(context: &mut ProbeContext<'_>, attempts: Vec<Attempt>) -> Result<()> {
    let mut usual: BTreeMap<i64, String> = BTreeMap::new();
    let bases: std::collections::BTreeSet<i64> =
        attempts.iter().map(|attempt| attempt.base).collect();
    let questions: Vec<Vec<Step<'_>>> = bases
        .iter()
        .map(|base| {
            vec![runner::read(
                RunAs::Owner,
                context.watch(&[&context.facts.relations[base]]),
            )]
        })
        .collect();
    for (base, answer) in bases
        .iter()
        .zip(runner::run(context.session, &questions).await?)
    {
        usual.insert(
            *base,
            answer
                .into_iter()
                .next()
                .and_then(|answer| answer.given)
                .unwrap_or_default(),
        );
    }
    let mut outcomes: BTreeMap<usize, Vec<Vec<Answer>>> = BTreeMap::new();
    for (before, numbers) in alike(&attempts) {
        let steps: Vec<Vec<Step<'_>>> = numbers
            .iter()
            .flat_map(|number| pair(context, &attempts[*number]))
            .collect();
        let answers = runner::run_after(context.session, before, &steps).await?;
        let pairs = answers.chunks(2).map(<[Vec<Answer>]>::to_vec);
        outcomes.extend(numbers.into_iter().zip(pairs));
    }
    for (attempt, outcome) in attempts.iter().zip(outcomes.values()) {
        judge(context, attempt, outcome, &usual[&attempt.base]);
    }
    Ok(())
}

/// Puts attempts together that need the same before: it is then done once for all.
fn alike(attempts: &[Attempt]) -> Vec<(&[Sql], Vec<usize>)> {
    let mut groups: BTreeMap<Vec<&str>, (&[Sql], Vec<usize>)> = BTreeMap::new();
    for (number, attempt) in attempts.iter().enumerate() {
        let texts = attempt.before.iter().map(Sql::as_str).collect();
        let group = groups.entry(texts).or_insert((&attempt.before, Vec::new()));
        group.1.push(number);
    }
    groups.into_values().collect()
}

/// Writes the steps of an attempt and of its control.
fn pair<'a>(context: &ProbeContext<'_>, attempt: &'a Attempt) -> [Vec<Step<'a>>; 2] {
    let with = |sql: &Sql| {
        vec![
            runner::need(RunAs::Request(&attempt.identity), sql.clone()),
            runner::change(RunAs::Owner, Sql::new("SET CONSTRAINTS ALL IMMEDIATE")),
            runner::read(
                RunAs::Owner,
                context.watch(&[&context.facts.relations[&attempt.base]]),
            ),
        ]
    };
    [
        with(&attempt.sql),
        attempt.control.as_ref().map(with).unwrap_or_default(),
    ]
}

fn judge(context: &mut ProbeContext<'_>, attempt: &Attempt, outcome: &[Vec<Answer>], usual: &str) {
    let [tried, control] = [0, 1].map(|at| outcome.get(at).map_or(&[][..], Vec::as_slice));
    let acted = tried.first().cloned().unwrap_or_default();
    let held = tried.iter().skip(1).all(Answer::ran);
    let after = tried.last().and_then(|answer| answer.given.clone());
    let reached = acted.ran()
        && held
        && after
            .as_deref()
            .is_some_and(|after| changed(after, usual, attempt.like));
    if reached {
        report(context, attempt, &acted);
        return;
    }
    if !attempt.identity.is_of_a() {
        return;
    }
    let is_usual = attempt.identity.title == "a";
    let target = &context.facts.relations[&attempt.target];
    let object = (target.title(), attempt.command);
    let control_ran = control
        .first()
        .is_some_and(|answer| answer.ran() && answer.touched.unwrap_or(0) > 0);
    let refused =
        !acted.ran() && matches!(acted.code.as_deref(), Some("42501" | "44000")) || acted.ran();
    if refused && control_ran {
        let why = if acted.ran() {
            "rows of the own tenant were written, no row of another tenant".to_owned()
        } else {
            format!(
                "refused, while the same statement on the own tenant's row succeeded: {}",
                acted.refusal()
            )
        };
        context.note(ProbeOutcome::Passed, object, &attempt.identity, why);
    } else if attempt.command != attempt.like {
        // The plain command has shown already that own rows can be written; this one may be refused as a whole.
    } else if !control_ran && is_usual {
        unshown(context, attempt, control.first());
    } else if control_ran && is_usual && attempt.like != "move" {
        context.note(
            ProbeOutcome::Inconclusive,
            object,
            &attempt.identity,
            format!("refused, but not by a policy: {}", acted.refusal()),
        );
    }
}

/// Not even own rows could be written: passed if no policy applies to the role, else inconclusive.
fn unshown(context: &mut ProbeContext<'_>, attempt: &Attempt, control: Option<&Answer>) {
    let (target, role) = (
        &context.facts.relations[&attempt.target],
        &attempt.identity.role,
    );
    let object = (target.title(), attempt.command);
    let privilege = match attempt.like {
        "move" => "update",
        command => command,
    };
    if target.is_table() && target.protected && !context.admits(target, role, privilege) {
        let why =
            format!("no policy for {privilege} applies to {role}: PostgreSQL refuses every row");
        context.note(ProbeOutcome::Passed, object, &attempt.identity, why);
        if let Some(one) = context.verdicts.last_mut() {
            one.proven_by = ProvenBy::Catalog;
        }
        return;
    }
    let came = match control {
        Some(answer) if answer.ran() => "no row was affected".to_owned(),
        Some(answer) => answer.refusal(),
        None => "no statement could be generated".to_owned(),
    };
    let why = format!(
        "the same statement did not succeed on the own tenant's rows either ({came}), so a leak could not have been detected. \
         Add rows or members for which the statement succeeds to policies/fixtures.sql, or revoke {} on {} from {role}.",
        privilege.to_uppercase(),
        target.title()
    );
    context.note(ProbeOutcome::Inconclusive, object, &attempt.identity, why);
}

/// Compares B's rows, and unowned for statements that reach existing rows.
fn changed(after: &str, usual: &str, command: &str) -> bool {
    let parts = |text: &str| -> Vec<String> { text.rsplitn(4, ' ').map(str::to_owned).collect() };
    let (after, usual) = (parts(after), parts(usual));
    let rows = after.get(1) != usual.get(1);
    let shared = after.first() != usual.first();
    rows || shared && matches!(command, "update" | "delete")
}

fn report(context: &mut ProbeContext<'_>, attempt: &Attempt, acted: &Answer) {
    let target = &context.facts.relations[&attempt.target];
    let (class, why) = leak_cause::blame(context, target, &attempt.identity, attempt.like);
    let script = context.script(
        &[attempt.base],
        &attempt.identity,
        std::slice::from_ref(&attempt.sql),
    );
    let exposes =
        (attempt.base != attempt.target).then(|| context.facts.relations[&attempt.base].title());
    context.leak(Leak {
        object: target.title(),
        command: attempt.command,
        identity: &attempt.identity,
        class,
        weight: Weight::Critical,
        why,
        rows: acted.touched,
        exposes,
        script: Some(script),
        proven_by: ProvenBy::Probe,
    });
}
