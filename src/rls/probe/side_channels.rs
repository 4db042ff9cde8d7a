//! Probes side channels: cached plans, large objects, rows without a tenant.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::probe::context::{Leak, ProbeContext};
use crate::probe::privilege_escalation::{count, number};
use crate::probe::{leaky_functions, search_path_hijack};
use crate::probed_schema::Relation;
use crate::runner::{self, Answer, Identity, RunAs};
use crate::seed::insert;
use crate::seed::plan::RowRequest;
use crate::seed::row_variants::RowVariant;
use crate::seed::tenancy_map::Side;
use crate::seed::values::{Value, mark};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::verdict::{ProvenBy, Weight};

/// Tries every side way of every member of A.
pub(crate) async fn all(context: &mut ProbeContext<'_>) -> Result<()> {
    for identity in context.members() {
        search_path_hijack::all(context, &identity).await?;
        kept_plans(context, &identity).await?;
        leaky_functions::filters(context, &identity).await?;
        leaky_functions::trusted(context, &identity).await?;
        large_objects(context, &identity).await?;
        unowned_rows(context, &identity).await?;
    }
    Ok(())
}

pub(super) fn leak<'a>(
    identity: &'a Identity,
    (object, command, exposes): (String, &'a str, Option<String>),
    (class, weight, why): (&'a str, Weight, String),
    script: String,
) -> Leak<'a> {
    Leak {
        object,
        command,
        identity,
        class,
        weight,
        why,
        rows: None,
        exposes,
        script: Some(script),
        proven_by: ProvenBy::Probe,
    }
}

/// Whether an answer holds a mark of B.
pub(super) fn marked(answer: Option<&Answer>) -> bool {
    answer
        .and_then(|answer| answer.given.as_deref())
        .is_some_and(|text| text.contains(mark(Side::B)))
}

/// A plan made for B is used by A in the same session.
async fn kept_plans(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let frozen = |oid: &i64| {
        context
            .facts
            .functions
            .get(oid)
            .is_some_and(|function| function.volatility == "i")
    };
    let tables: Vec<&Relation> = context
        .tenant_tables()
        .into_iter()
        .filter(|table| {
            context
                .facts
                .policies_of(table.oid)
                .any(|policy| policy.calls.iter().any(frozen))
        })
        .collect();
    let other = context.identities.member(&identity.role, Side::B);
    for table in tables {
        let name = Ident::new(format!(
            "af_db_kept_{}_{}",
            table.oid,
            context.verdicts.len()
        ));
        let prepare = Sql::fill("PREPARE {} AS {}", &[&name, &count(context, table)]);
        let execute = Sql::fill("EXECUTE {}", &[&name]);
        let steps = vec![
            runner::read(RunAs::Request(identity), count(context, table)),
            runner::change(
                RunAs::Owner,
                Sql::new("SET LOCAL plan_cache_mode = force_generic_plan"),
            ),
            runner::need(RunAs::Request(&other), prepare.clone()),
            runner::read(RunAs::Request(&other), execute.clone()),
            runner::read(RunAs::Request(identity), execute.clone()),
        ];
        let came = runner::run(context.session, &[steps]).await?.remove(0);
        if number(came.first()) == 0 && number(came.get(4)) > 0 {
            let script = context.script(&[table.oid], &other, &[prepare, execute]);
            let why = format!(
                "a policy of {} calls a function declared IMMUTABLE that reads session settings: a cached plan returns another request's result",
                table.title()
            );
            context.leak(leak(
                identity,
                (table.title(), "select_prepared", None),
                ("B24", Weight::High, why),
                script,
            ));
        }
    }
    Ok(())
}

/// Large objects know an owner, not a tenant.
async fn large_objects(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let holder = context.tenant_tables().into_iter().find(|table| {
        table
            .columns
            .iter()
            .any(|column| matches!(column.base.as_str(), "oid" | "lo"))
    });
    let Some(table) = holder else { return Ok(()) };
    let owner = context
        .source_info
        .owners
        .first()
        .filter(|owner| context.facts.roles.contains_key(*owner))
        .unwrap_or(&identity.role)
        .clone();
    let read = Sql::new("SELECT pg_catalog.convert_from(pg_catalog.lo_get(987654), 'UTF8')");
    let steps = vec![
        runner::need(
            RunAs::Owner,
            Sql::fill(
                "SELECT pg_catalog.lo_from_bytea(987654, pg_catalog.convert_to({}, 'UTF8'))",
                &[&Literal::new(mark(Side::B))],
            ),
        ),
        runner::need(
            RunAs::Owner,
            Sql::fill(
                "ALTER LARGE OBJECT 987654 OWNER TO {}",
                &[&Ident::new(owner.as_str())],
            ),
        ),
        runner::read(RunAs::Request(identity), read.clone()),
    ];
    let came = runner::run(context.session, &[steps]).await?.remove(0);
    if marked(came.get(2)) {
        let script = context.script(&[table.oid], identity, &[read]);
        let why = format!(
            "large objects referenced by {} belong to {owner}, whose privileges every tenant's request has: any large object can be read by its OID",
            table.title()
        );
        context.leak(leak(
            identity,
            (table.title(), "lo_read", None),
            ("E08", Weight::High, why),
            script,
        ));
    }
    Ok(())
}

/// A row without a tenant that B makes, or makes of its own, shows up at A's.
async fn unowned_rows(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let other = context.identities.member(&identity.role, Side::B);
    for table in context.tenant_tables() {
        let Some(column) = context
            .tenancy_map
            .tenant_column(table.oid)
            .and_then(|name| table.column(name))
            .filter(|column| !column.required)
        else {
            continue;
        };
        let rights = context.facts.rights(&identity.role, table.oid);
        let name = Ident::new(column.name.as_str());
        let look = Sql::fill(
            "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE t.{} IS NULL",
            &[&table.object(), &name],
        );
        let mut tried: Vec<(&str, Sql)> = Vec::new();
        if rights.insertable.contains(&column.name) {
            let request = RowRequest {
                variant: RowVariant::default(),
                turn: 1,
                lean: false,
            };
            let mut values: BTreeMap<String, Value> =
                context
                    .plan
                    .fresh(context.tenancy_map, table, Side::B, &request);
            values.insert(column.name.clone(), None);
            values.retain(|name, _| rights.insertable.contains(name));
            tried.push(("insert", insert::insert(table, &values)));
        }
        if rights.updatable.contains(&column.name) {
            tried.push((
                "move",
                Sql::fill("UPDATE {} SET {} = NULL", &[&table.object(), &name]),
            ));
        }
        for (command, sql) in tried {
            let steps = vec![
                runner::read(RunAs::Request(identity), look.clone()),
                runner::need(RunAs::Request(&other), sql.clone()),
                runner::read(RunAs::Request(identity), look.clone()),
            ];
            let came = runner::run(context.session, &[steps]).await?.remove(0);
            if number(came.get(2)) > number(came.first()) {
                let script = context.script(&[table.oid], &other, &[sql]);
                let why = format!(
                    "rows of {} without a {} are visible to every tenant, and any tenant can create them",
                    table.title(),
                    column.name
                );
                context.leak(leak(
                    identity,
                    (table.title(), command, None),
                    ("B12", Weight::High, why),
                    script,
                ));
            }
        }
    }
    Ok(())
}
