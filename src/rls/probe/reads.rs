//! Probes reading: what a request sees must not change when only another tenant's rows change.
//!
//! Everything a role may read is read as everybody, before and after B's own rows are put in. A difference is a leak, whether
//! it shows as a row, a sum or a copy without a tenant column.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::probe::context::{Leak, ProbeContext};
use crate::probe::leak_cause;
use crate::probed_schema::Relation;
use crate::runner::{self, Answer, Identity, ProbeSession, RunAs};
use crate::seed::tenancy_map::TenancyMap;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Weight};

/// What each request saw of each relation.
pub(crate) type VisibleRows = BTreeMap<(usize, i64), Answer>;

/// Writes the question for the rows of a relation as a JSON list of texts.
pub(crate) fn rows_of(relation: &Relation, columns: &[String]) -> Sql {
    let names = Sql::join(
        columns
            .iter()
            .map(|name| Sql::fill("t.{}", &[&Ident::new(name.as_str())])),
        ", ",
    );
    Sql::fill(
        "SELECT coalesce(pg_catalog.json_agg(x.r ORDER BY x.r)::text, '[]') FROM (SELECT ROW({})::text AS r FROM {} AS t LIMIT 2000) AS x",
        &[&names, &relation.object()],
    )
}

/// Reads everything that may be read as each request.
pub(crate) async fn look(
    context: &ProbeContext<'_>,
    probe_session: &ProbeSession<'_>,
    readers: &[Identity],
) -> Result<VisibleRows> {
    let mut asked = Vec::new();
    let mut attempts = Vec::new();
    for (number, identity) in readers.iter().enumerate() {
        for relation in context.visible() {
            let rights = context.facts.rights(&identity.role, relation.oid);
            if rights.readable.is_empty() {
                continue;
            }
            asked.push((number, relation.oid));
            attempts.push(vec![runner::read(
                RunAs::Request(identity),
                rows_of(relation, &rights.readable),
            )]);
        }
    }
    let answers = runner::run(probe_session, &attempts).await?;
    Ok(asked
        .into_iter()
        .zip(answers.into_iter().map(|mut steps| {
            if steps.is_empty() {
                Answer::default()
            } else {
                steps.remove(0)
            }
        }))
        .collect())
}

/// Returns the rows an answer lists.
pub(crate) fn listed(answer: &Answer) -> Vec<String> {
    answer
        .given
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// Compares what was seen without and with B's own rows.
pub(crate) fn judge(
    context: &mut ProbeContext<'_>,
    readers: &[Identity],
    (without, with): (&VisibleRows, &VisibleRows),
) {
    for ((number, oid), after) in with {
        let identity = &readers[*number];
        let relation = &context.facts.relations[oid];
        let before = without.get(&(*number, *oid)).cloned().unwrap_or_default();
        let (seen, known) = (listed(after), listed(&before));
        let new = seen.iter().filter(|row| !known.contains(row)).count();
        let changed = after.ran() && before.ran() && seen != known;
        if changed || after.ran() && !before.ran() && !seen.is_empty() {
            report(context, relation, identity, new);
            continue;
        }
        // One member of A who read shows that rows could have been seen, another who met an error does not.
        let read = with.iter().any(|((number, other), answer)| {
            let who = &readers[*number];
            other == oid && answer.ran() && who.role == identity.role && who.is_of_a()
        });
        settle(context, relation, identity, (after, read));
    }
}

fn report(context: &mut ProbeContext<'_>, relation: &Relation, identity: &Identity, new: usize) {
    let (class, why) = leak_cause::blame(context, relation, identity, "select");
    let columns = context.facts.rights(&identity.role, relation.oid).readable;
    let names = Sql::join(columns.iter().map(|name| Ident::new(name.as_str())), ", ");
    let statement = Sql::fill("SELECT {} FROM {}", &[&names, &relation.object()]);
    let mut tables = vec![relation.oid];
    tables.extend(&relation.reads);
    let script = context.script(&tables, identity, &[statement]);
    let exposes = exposed(context.tenancy_map, relation);
    let weight = if relation.is_view() && new == 0 {
        Weight::Medium
    } else {
        Weight::Critical
    };
    context.leak(Leak {
        object: relation.title(),
        command: "select",
        identity,
        class,
        weight,
        why,
        rows: i64::try_from(new).ok(),
        exposes,
        script: Some(script),
        proven_by: ProvenBy::Probe,
    });
}

/// Returns the tenant table behind a view.
pub(crate) fn exposed(tenancy_map: &TenancyMap<'_>, relation: &Relation) -> Option<String> {
    let mut queue = relation.reads.clone();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(oid) = queue.pop() {
        let Some(read) = tenancy_map
            .facts
            .relations
            .get(&oid)
            .filter(|_| seen.insert(oid))
        else {
            continue;
        };
        if tenancy_map.is_tenant_table(oid) {
            return Some(read.title());
        }
        queue.extend(&read.reads);
    }
    None
}

/// What was refused or looked the same holds only where A sees its own rows.
fn settle(
    context: &mut ProbeContext<'_>,
    relation: &Relation,
    identity: &Identity,
    (answer, read): (&Answer, bool),
) {
    if !context.tenancy_map.is_tenant_table(relation.oid)
        && exposed(context.tenancy_map, relation).is_none()
    {
        return;
    }
    let object = (relation.title(), "select");
    if let Some(reason) = context.unfilled.get(&relation.oid) {
        let why = format!("no test rows could be inserted: {reason}");
        context.note(ProbeOutcome::Inconclusive, object, identity, why);
        return;
    }
    let own = context
        .sees
        .contains(&(identity.role.clone(), relation.oid));
    if identity.title != "a" {
        if own || identity.role == "anon" {
            context.note(
                ProbeOutcome::Passed,
                object,
                identity,
                "no row of another tenant was seen".to_owned(),
            );
        }
        return;
    }
    if relation.is_partition
        && relation.protected
        && !context.admits(relation, &identity.role, "select")
    {
        let why = "no policy of the partition applies to the role: the rows are accessible only through the parent";
        context.note(ProbeOutcome::Passed, object, identity, why.to_owned());
        return;
    }
    if own && read {
        context.note(
            ProbeOutcome::Passed,
            object,
            identity,
            "rows of the own tenant were seen, no row of another tenant".to_owned(),
        );
    } else {
        let came = if answer.ran() {
            "rows of the own tenant were not seen either".to_owned()
        } else if own {
            format!(
                "with the rows of all tenants present, reading fails: {}",
                answer.refusal()
            )
        } else {
            format!(
                "rows of the own tenant cannot be read either: {}",
                answer.refusal()
            )
        };
        let remedy = match answer.code.as_deref() {
            None | Some("42501") => format!(
                "Add rows that the role can see to policies/fixtures.sql, or revoke SELECT on {} from {}.",
                object.0, identity.role
            ),
            Some("42P17") => "Let the policy query its own table through a SECURITY DEFINER function with an empty search_path.".to_owned(),
            Some(_) => "Fix the policy: requests fail with the same error.".to_owned(),
        };
        let why = format!(
            "{came}, so a leak could not have been detected. \
             {remedy}"
        );
        context.note(ProbeOutcome::Inconclusive, object, identity, why);
    }
}
