//! Probes constraints, to which policies do not apply: references to another tenant's rows, cascades
//! across tenants, and whether a value exists.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::expression_text;
use crate::probe::context::{Leak, ProbeContext};
use crate::probed_schema::{Constraint, Relation};
use crate::runner::{self, Answer, Identity, RunAs, Step};
use crate::seed::insert;
use crate::seed::plan::RowRequest;
use crate::seed::tenancy_map::Side;
use crate::seed::values::Value;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Weight};

/// Tries every foreign key and every unique key of every tenant table.
pub(crate) async fn all(context: &mut ProbeContext<'_>) -> Result<()> {
    for identity in context.members() {
        references(context, &identity).await?;
        existence(context, &identity).await?;
    }
    Ok(())
}

/// A foreign key between tenant tables that does not carry the tenant.
fn crossing<'a>(
    context: &ProbeContext<'a>,
    table: &Relation,
) -> Vec<(&'a Constraint, &'a Relation)> {
    let facts = context.facts;
    facts
        .constraints
        .iter()
        .filter(|key| key.table == table.oid && key.kind == "f" && !key.inherited)
        .filter_map(|key| Some((key, facts.relations.get(&key.target?)?)))
        .filter(|(key, target)| {
            let tenant = context.tenancy_map.tenant_column(table.oid);
            Some(target.oid) != context.tenancy_map.root
                && target.oid != table.oid
                && context.tenancy_map.is_tenant_table(target.oid)
                && !key.columns.iter().any(|name| Some(name.as_str()) == tenant)
                // A child that belongs where its parent does is written for the other tenant: that is an insert.
                && !matches!(context.tenancy_map.belongs.get(&table.oid), Some(crate::seed::tenancy_map::TenantLink::Via(via)) if via.name == key.name)
        })
        .collect()
}

async fn references(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let mut tried = Vec::new();
    for table in context.tenant_tables() {
        let rights = context.facts.rights(&identity.role, table.oid);
        for (key, target) in crossing(context, table) {
            let Some(statements) = statements(context, (table, key, target), &rights) else {
                continue;
            };
            tried.push((table, key, target, statements));
        }
    }
    let steps: Vec<Vec<Step<'_>>> = tried
        .iter()
        .flat_map(|(_, _, _, three)| three.iter().map(|sql| attempt(identity, sql)))
        .collect();
    let answers = runner::run(context.session, &steps).await?;
    for ((table, key, target, three), came) in tried.iter().zip(answers.chunks(3)) {
        let ran = |at: usize| {
            came.get(at).is_some_and(|answers| {
                answers.iter().all(Answer::ran)
                    && answers
                        .first()
                        .is_some_and(|answer| answer.touched != Some(0))
            })
        };
        let (theirs, own) = (ran(0), ran(2));
        if theirs && own {
            report(context, identity, (table, key, target, &three[0]));
            if matches!(key.on_delete.as_deref(), Some("c" | "n" | "d")) {
                cascade(context, identity, (table, key, target)).await?;
            }
        } else if own {
            let why = format!(
                "a row that references another tenant's {} was refused",
                target.title()
            );
            context.note(
                ProbeOutcome::Passed,
                (table.title(), "reference"),
                identity,
                why,
            );
        }
    }
    Ok(())
}

fn attempt<'a>(identity: &'a Identity, sql: &Sql) -> Vec<Step<'a>> {
    vec![
        runner::need(RunAs::Request(identity), sql.clone()),
        runner::change(RunAs::Owner, Sql::new("SET CONSTRAINTS ALL IMMEDIATE")),
    ]
}

/// Writes three statements alike but for the parent: B's, one that is nowhere, and A's own.
fn statements(
    context: &mut ProbeContext<'_>,
    (table, key, target): (&Relation, &Constraint, &Relation),
    rights: &crate::probed_schema::RolePrivileges,
) -> Option<[Sql; 3]> {
    let theirs = context.row(target.oid, Side::B)?.values.clone();
    let own = context.row(target.oid, Side::A)?.values.clone();
    let nowhere: BTreeMap<String, Value> = own
        .iter()
        .map(|(name, value)| (name.clone(), missing(target, name, value)))
        .collect();
    let inserts = key
        .columns
        .iter()
        .all(|name| rights.insertable.contains(name));
    let updates = key
        .columns
        .iter()
        .all(|name| rights.updatable.contains(name));
    if !inserts && !updates {
        return None;
    }
    let fresh = context.plan.fresh(
        context.tenancy_map,
        table,
        Side::A,
        &RowRequest {
            turn: 1,
            ..RowRequest::default()
        },
    );
    let point = |parent: &BTreeMap<String, Value>| {
        let pairs: Vec<(String, Value)> = key
            .columns
            .iter()
            .cloned()
            .zip(
                key.target_columns
                    .iter()
                    .map(|name| parent.get(name).cloned().flatten()),
            )
            .collect();
        if inserts {
            let mut values = fresh.clone();
            values.extend(pairs);
            values.retain(|name, _| rights.insertable.contains(name));
            return insert::insert(table, &values);
        }
        let assignments = Sql::join(
            pairs.iter().filter_map(|(name, value)| {
                Some(Sql::fill(
                    "{} = {}",
                    &[
                        &Ident::new(name.as_str()),
                        &insert::literal(value, &table.column(name)?.type_name),
                    ],
                ))
            }),
            ", ",
        );
        Sql::fill("UPDATE {} SET {}", &[&table.object(), &assignments])
    };
    Some([point(&theirs), point(&nowhere), point(&own)])
}

/// Makes a key that does not exist.
fn missing(target: &Relation, name: &str, value: &Value) -> Value {
    let base = target
        .column(name)
        .map_or("", |column| column.base.as_str());
    match base {
        "uuid" => Some("f0af0db9-0000-4000-8000-000000009999".to_owned()),
        "int2" | "int4" | "int8" | "numeric" => Some("29999".to_owned()),
        "text" | "varchar" | "citext" => Some("zqz-nowhere".to_owned()),
        _ => value.clone(),
    }
}

fn report(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    (table, key, target, sql): (&Relation, &Constraint, &Relation, &Sql),
) {
    let script = context.script(
        &[table.oid, target.oid],
        identity,
        std::slice::from_ref(sql),
    );
    let tenant = context.tenancy_map.tenant_column(table.oid);
    let remedy = tenant.map_or_else(String::new, |tenant| {
        format!(" Use ({tenant}, {}).", key.columns.join(", "))
    });
    let why = format!(
        "Foreign key {} does not include {}. FK checks bypass RLS, so a tenant can reference a row of another tenant in {} and detect whether a key exists.{remedy}",
        key.name,
        tenant.unwrap_or("the tenant"),
        target.title(),
    );
    for command in ["reference", "existence"] {
        context.leak(Leak {
            object: table.title(),
            command,
            identity,
            class: "E21",
            weight: if command == "reference" {
                Weight::Medium
            } else {
                Weight::Low
            },
            why: why.clone(),
            rows: None,
            exposes: Some(target.title()),
            script: Some(script.clone()),
            proven_by: ProvenBy::Probe,
        });
    }
}

/// Writes columns and values as a list of equalities.
fn equalities(
    relation: &Relation,
    names: &[String],
    values: &BTreeMap<String, Value>,
    between: &'static str,
) -> Sql {
    let each = names.iter().filter_map(|name| {
        Some(Sql::fill(
            "{} = {}",
            &[
                &Ident::new(name.as_str()),
                &insert::literal(values.get(name)?, &relation.column(name)?.type_name),
            ],
        ))
    });
    Sql::join(each, between)
}

/// B's child points at A's parent, and A removes the parent.
async fn cascade(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    (table, key, target): (&Relation, &Constraint, &Relation),
) -> Result<()> {
    let (Some(parent), Some(child)) = (
        context
            .row(target.oid, Side::A)
            .map(|row| row.values.clone()),
        context
            .row(table.oid, Side::B)
            .map(|row| row.values.clone()),
    ) else {
        return Ok(());
    };
    let own_key = context.facts.primary_key(table.oid);
    if own_key.is_empty() {
        return Ok(());
    }
    let theirs: BTreeMap<String, Value> = key
        .columns
        .iter()
        .cloned()
        .zip(
            key.target_columns
                .iter()
                .map(|name| parent.get(name).cloned().flatten()),
        )
        .collect();
    let point = Sql::fill(
        "UPDATE {} SET {} WHERE {}",
        &[
            &table.object(),
            &equalities(table, &key.columns, &theirs, ", "),
            &equalities(table, &own_key, &child, " AND "),
        ],
    );
    let remove = Sql::fill(
        "DELETE FROM {} WHERE {}",
        &[
            &target.object(),
            &equalities(target, &key.target_columns, &parent, " AND "),
        ],
    );
    let steps = vec![
        runner::need(RunAs::Owner, point),
        runner::read(RunAs::Owner, context.watch(&[table])),
        runner::need(RunAs::Request(identity), remove.clone()),
        runner::read(RunAs::Owner, context.watch(&[table])),
    ];
    let came = runner::run(context.session, &[steps]).await?.remove(0);
    let state = |at: usize| came.get(at).and_then(|answer| answer.given.clone());
    if came.len() == 4 && state(1) != state(3) {
        let script = context.script(&[table.oid, target.oid], identity, &[remove]);
        context.leak(Leak {
            object: target.title(),
            command: "cascade",
            identity,
            class: "E22",
            weight: Weight::High,
            why: format!("The action of foreign key `{}` of {} crosses tenants: deleting a row of the own tenant in {} changes rows of another tenant that reference it", key.name, table.title(), target.title()),
            rows: None,
            exposes: Some(table.title()),
            script: Some(script),
            proven_by: ProvenBy::Probe,
        });
    }
    Ok(())
}

/// Tries whether an own row with B's value ends differently from one with an unused value.
async fn existence(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let mut tried = Vec::new();
    for table in context.tenant_tables() {
        let rights = context.facts.rights(&identity.role, table.oid);
        if rights.insertable.is_empty() || table.is_partition {
            continue;
        }
        let facts = context.facts;
        let telling: Vec<&Constraint> = facts
            .constraints
            .iter()
            .filter(|key| key.table == table.oid && tells(context, table, key))
            .collect();
        for key in telling {
            let Some(theirs) = context
                .row(table.oid, Side::B)
                .map(|row| row.values.clone())
            else {
                continue;
            };
            let request = RowRequest {
                turn: 1,
                ..RowRequest::default()
            };
            let unknown = context
                .plan
                .fresh(context.tenancy_map, table, Side::A, &request);
            let mut known = context
                .plan
                .fresh(context.tenancy_map, table, Side::A, &request);
            let names = concerned(table, key);
            for name in &names {
                known.insert(name.clone(), theirs.get(name).cloned().flatten());
            }
            let write = |mut values: BTreeMap<String, Value>| {
                values.retain(|name, _| rights.insertable.contains(name));
                insert::insert(table, &values)
            };
            tried.push((table, key, write(known), write(unknown)));
        }
    }
    let steps: Vec<Vec<Step<'_>>> = tried
        .iter()
        .flat_map(|(_, _, known, unknown)| [attempt(identity, known), attempt(identity, unknown)])
        .collect();
    let answers = runner::run(context.session, &steps).await?;
    for ((table, key, known, _), came) in tried.iter().zip(answers.chunks(2)) {
        let code = |at: usize| {
            came.get(at)
                .and_then(|answers| answers.iter().find_map(|answer| answer.code.clone()))
        };
        let clash = matches!(code(0).as_deref(), Some("23505" | "23P01"));
        if clash && code(1).is_none() {
            let script = context.script(&[table.oid], identity, std::slice::from_ref(known));
            let names = concerned(table, key).join(", ");
            context.leak(Leak {
                object: table.title(),
                command: "existence",
                identity,
                class: "E23",
                weight: Weight::Low,
                why: format!("Constraint `{}` spans all tenants: a row is refused when another tenant has the same {names}", key.name),
                rows: None,
                exposes: None,
                script: Some(script),
                proven_by: ProvenBy::Probe,
            });
        }
    }
    Ok(())
}

/// Whether a unique or exclusion constraint can reveal anything worth knowing.
fn tells(context: &ProbeContext<'_>, table: &Relation, key: &Constraint) -> bool {
    if !matches!(key.kind.as_str(), "p" | "u" | "i" | "x") {
        return false;
    }
    let tenant = context.tenancy_map.tenant_column(table.oid).unwrap_or("");
    let names = concerned(table, key);
    let surrogate = key.kind == "p"
        && names.len() == 1
        && table.column(&names[0]).is_some_and(|column| {
            column.base.starts_with("int")
                || column.base == "uuid"
                || matches!(names[0].as_str(), "id" | "key")
        });
    let pointed = key.kind != "x"
        && context
            .facts
            .foreign_keys(table.oid)
            .any(|own| names.iter().all(|name| own.columns.contains(name)));
    let drawn = names.iter().any(|name| {
        expression_text::is_unguessable(name)
            || table
                .column(name)
                .is_some_and(|column| column.base == "uuid" && key.kind != "x")
    });
    let whole = expression_text::mentions(&key.definition, tenant) && !tenant.is_empty();
    !names.is_empty()
        && !surrogate
        && !pointed
        && !drawn
        && !whole
        && !names.iter().any(|name| name == tenant)
}

/// Returns the columns that a key looks at, expressions included.
fn concerned(table: &Relation, key: &Constraint) -> Vec<String> {
    if !key.columns.is_empty() && key.kind != "x" && !key.definition.contains("lower(") {
        return key.columns.clone();
    }
    let inside = key.definition.split_once('(').map_or("", |(_, rest)| rest);
    table
        .columns
        .iter()
        .filter(|column| expression_text::mentions(inside, &column.name))
        .map(|column| column.name.clone())
        .collect()
}
