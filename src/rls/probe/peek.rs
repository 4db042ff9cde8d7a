//! Owns side ways: plans kept from another request, large objects, rows of nobody.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::facts::Relation;
use crate::fill::ground::Side;
use crate::fill::insert;
use crate::fill::plan::Wish;
use crate::fill::value::{Value, mark};
use crate::fill::vary::Variant;
use crate::probe::climb::{count, number};
use crate::probe::stand::{Leak, Stand};
use crate::probe::{early, shadow};
use crate::runner::{self, Answer, Identity, Who};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::verdict::{ProvenBy, Weight};

/// Tries every side way of every member of A.
pub(crate) async fn all(stand: &mut Stand<'_>) -> Result<()> {
    for identity in stand.members() {
        shadow::all(stand, &identity).await?;
        kept_plans(stand, &identity).await?;
        early::filters(stand, &identity).await?;
        early::trusted(stand, &identity).await?;
        large_objects(stand, &identity).await?;
        nobodys(stand, &identity).await?;
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

/// Says whether an answer holds a mark of B.
pub(super) fn marked(answer: Option<&Answer>) -> bool {
    answer
        .and_then(|answer| answer.given.as_deref())
        .is_some_and(|text| text.contains(mark(Side::B)))
}

/// A plan made for B is used by A in the same session.
async fn kept_plans(stand: &mut Stand<'_>, identity: &Identity) -> Result<()> {
    let frozen = |oid: &i64| {
        stand
            .facts
            .functions
            .get(oid)
            .is_some_and(|function| function.volatility == "i")
    };
    let tables: Vec<&Relation> = stand
        .tenant_tables()
        .into_iter()
        .filter(|table| {
            stand
                .facts
                .policies_of(table.oid)
                .any(|policy| policy.calls.iter().any(frozen))
        })
        .collect();
    let other = stand.cast.member(&identity.role, Side::B);
    for table in tables {
        let name = Ident::new(format!("af_db_kept_{}_{}", table.oid, stand.verdicts.len()));
        let prepare = Sql::fill("PREPARE {} AS {}", &[&name, &count(stand, table)]);
        let execute = Sql::fill("EXECUTE {}", &[&name]);
        let steps = vec![
            runner::read(Who::Request(identity), count(stand, table)),
            runner::change(
                Who::Owner,
                Sql::new("SET LOCAL plan_cache_mode = force_generic_plan"),
            ),
            runner::need(Who::Request(&other), prepare.clone()),
            runner::read(Who::Request(&other), execute.clone()),
            runner::read(Who::Request(identity), execute.clone()),
        ];
        let came = runner::run(stand.session, &[steps]).await?.remove(0);
        if number(came.first()) == 0 && number(came.get(4)) > 0 {
            let script = stand.script(&[table.oid], &other, &[prepare, execute]);
            let why = format!(
                "a policy of {} calls a function declared IMMUTABLE that reads the session: a kept plan holds another request's answer",
                table.title()
            );
            stand.leak(leak(
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
async fn large_objects(stand: &mut Stand<'_>, identity: &Identity) -> Result<()> {
    let holder = stand.tenant_tables().into_iter().find(|table| {
        table
            .columns
            .iter()
            .any(|column| matches!(column.base.as_str(), "oid" | "lo"))
    });
    let Some(table) = holder else { return Ok(()) };
    let owner = stand
        .grounds
        .owners
        .first()
        .filter(|owner| stand.facts.roles.contains_key(*owner))
        .unwrap_or(&identity.role)
        .clone();
    let read = Sql::new("SELECT pg_catalog.convert_from(pg_catalog.lo_get(987654), 'UTF8')");
    let steps = vec![
        runner::need(
            Who::Owner,
            Sql::fill(
                "SELECT pg_catalog.lo_from_bytea(987654, pg_catalog.convert_to({}, 'UTF8'))",
                &[&Literal::new(mark(Side::B))],
            ),
        ),
        runner::need(
            Who::Owner,
            Sql::fill(
                "ALTER LARGE OBJECT 987654 OWNER TO {}",
                &[&Ident::new(owner.as_str())],
            ),
        ),
        runner::read(Who::Request(identity), read.clone()),
    ];
    let came = runner::run(stand.session, &[steps]).await?.remove(0);
    if marked(came.get(2)) {
        let script = stand.script(&[table.oid], identity, &[read]);
        let why = format!(
            "large objects behind {} belong to {owner}, whose rights every tenant's request has: any of them is read by its number",
            table.title()
        );
        stand.leak(leak(
            identity,
            (table.title(), "lo_read", None),
            ("E08", Weight::High, why),
            script,
        ));
    }
    Ok(())
}

/// A row without a tenant that B makes, or makes of its own, shows up at A's.
async fn nobodys(stand: &mut Stand<'_>, identity: &Identity) -> Result<()> {
    let other = stand.cast.member(&identity.role, Side::B);
    for table in stand.tenant_tables() {
        let Some(column) = stand
            .ground
            .tenant_column(table.oid)
            .and_then(|name| table.column(name))
            .filter(|column| !column.required)
        else {
            continue;
        };
        let rights = stand.facts.rights(&identity.role, table.oid);
        let name = Ident::new(column.name.as_str());
        let look = Sql::fill(
            "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE t.{} IS NULL",
            &[&table.object(), &name],
        );
        let mut tried: Vec<(&str, Sql)> = Vec::new();
        if rights.insertable.contains(&column.name) {
            let wish = Wish {
                variant: Variant::default(),
                turn: 1,
                lean: false,
            };
            let mut values: BTreeMap<String, Value> =
                stand.plan.fresh(stand.ground, table, Side::B, &wish);
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
                runner::read(Who::Request(identity), look.clone()),
                runner::need(Who::Request(&other), sql.clone()),
                runner::read(Who::Request(identity), look.clone()),
            ];
            let came = runner::run(stand.session, &[steps]).await?.remove(0);
            if number(came.get(2)) > number(came.first()) {
                let script = stand.script(&[table.oid], &other, &[sql]);
                let why = format!(
                    "rows of {} without a {} are seen by every tenant, and any tenant may make them",
                    table.title(),
                    column.name
                );
                stand.leak(leak(
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
