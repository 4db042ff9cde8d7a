//! Owns what constraints give away, which policies never govern: references to another tenant's rows, what happens to them when
//! the parent goes, and whether a value exists.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::facts::{Constraint, Relation};
use crate::fill::ground::Side;
use crate::fill::insert;
use crate::fill::plan::Wish;
use crate::fill::value::Value;
use crate::probe::stand::{Leak, Stand};
use crate::runner::{self, Answer, Identity, Step, Who};
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::{ProvenBy, Weight, Word};
use crate::words;

/// Tries every foreign key and every unique key of every tenant table.
pub(crate) async fn all(stand: &mut Stand<'_>) -> Result<()> {
    for identity in stand.members() {
        references(stand, &identity).await?;
        existence(stand, &identity).await?;
    }
    Ok(())
}

/// A foreign key between tenant tables that does not carry the tenant.
fn crossing<'a>(stand: &Stand<'a>, table: &Relation) -> Vec<(&'a Constraint, &'a Relation)> {
    let facts = stand.facts;
    facts
        .constraints
        .iter()
        .filter(|key| key.table == table.oid && key.kind == "f" && !key.inherited)
        .filter_map(|key| Some((key, facts.relations.get(&key.target?)?)))
        .filter(|(key, target)| {
            let tenant = stand.ground.tenant_column(table.oid);
            Some(target.oid) != stand.ground.root
                && target.oid != table.oid
                && stand.ground.is_tenant_table(target.oid)
                && !key.columns.iter().any(|name| Some(name.as_str()) == tenant)
                // A child that belongs where its parent does is written for the other tenant: that is an insert.
                && !matches!(stand.ground.belongs.get(&table.oid), Some(crate::fill::ground::Belongs::Via(via)) if via.name == key.name)
        })
        .collect()
}

async fn references(stand: &mut Stand<'_>, identity: &Identity) -> Result<()> {
    let mut tried = Vec::new();
    for table in stand.tenant_tables() {
        let rights = stand.facts.rights(&identity.role, table.oid);
        for (key, target) in crossing(stand, table) {
            let Some(statements) = statements(stand, (table, key, target), &rights) else {
                continue;
            };
            tried.push((table, key, target, statements));
        }
    }
    let steps: Vec<Vec<Step<'_>>> = tried
        .iter()
        .flat_map(|(_, _, _, three)| three.iter().map(|sql| attempt(identity, sql)))
        .collect();
    let answers = runner::run(stand.session, &steps).await?;
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
            report(stand, identity, (table, key, target, &three[0]));
            if matches!(key.on_delete.as_deref(), Some("c" | "n" | "d")) {
                cascade(stand, identity, (table, key, target)).await?;
            }
        } else if own {
            let why = format!(
                "a row that points at another tenant's {} was refused",
                target.title()
            );
            stand.note(Word::Holds, (table.title(), "reference"), identity, why);
        }
    }
    Ok(())
}

fn attempt<'a>(identity: &'a Identity, sql: &Sql) -> Vec<Step<'a>> {
    vec![
        runner::need(Who::Request(identity), sql.clone()),
        runner::change(Who::Owner, Sql::new("SET CONSTRAINTS ALL IMMEDIATE")),
    ]
}

/// Writes three statements alike but for the parent: B's, one that is nowhere, and A's own.
fn statements(
    stand: &mut Stand<'_>,
    (table, key, target): (&Relation, &Constraint, &Relation),
    rights: &crate::facts::Rights,
) -> Option<[Sql; 3]> {
    let theirs = stand.row(target.oid, Side::B)?.values.clone();
    let own = stand.row(target.oid, Side::A)?.values.clone();
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
    let fresh = stand.plan.fresh(
        stand.ground,
        table,
        Side::A,
        &Wish {
            turn: 1,
            ..Wish::default()
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

/// Makes a key that nobody has.
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
    stand: &mut Stand<'_>,
    identity: &Identity,
    (table, key, target, sql): (&Relation, &Constraint, &Relation, &Sql),
) {
    let script = stand.script(
        &[table.oid, target.oid],
        identity,
        std::slice::from_ref(sql),
    );
    let why = format!(
        "foreign key `{}` does not carry the tenant and its check ignores policies: an own row may point at another tenant's {}, and the outcome tells whether a key exists",
        key.name,
        target.title()
    );
    for command in ["reference", "existence"] {
        stand.leak(Leak {
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
    stand: &mut Stand<'_>,
    identity: &Identity,
    (table, key, target): (&Relation, &Constraint, &Relation),
) -> Result<()> {
    let (Some(parent), Some(child)) = (
        stand.row(target.oid, Side::A).map(|row| row.values.clone()),
        stand.row(table.oid, Side::B).map(|row| row.values.clone()),
    ) else {
        return Ok(());
    };
    let own_key = stand.facts.primary_key(table.oid);
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
        runner::need(Who::Owner, point),
        runner::read(Who::Owner, stand.watch(&[table])),
        runner::need(Who::Request(identity), remove.clone()),
        runner::read(Who::Owner, stand.watch(&[table])),
    ];
    let came = runner::run(stand.session, &[steps]).await?.remove(0);
    let state = |at: usize| came.get(at).and_then(|answer| answer.given.clone());
    if came.len() == 4 && state(1) != state(3) {
        let script = stand.script(&[table.oid, target.oid], identity, &[remove]);
        stand.leak(Leak {
            object: target.title(),
            command: "cascade",
            identity,
            class: "E22",
            weight: Weight::High,
            why: format!("foreign key `{}` of {} carries its action across tenants: removing an own row of {} changes rows of another tenant that point at it", key.name, table.title(), target.title()),
            rows: None,
            exposes: Some(table.title()),
            script: Some(script),
            proven_by: ProvenBy::Probe,
        });
    }
    Ok(())
}

/// Tries whether an own row with B's value ends otherwise than one with a value of nobody.
async fn existence(stand: &mut Stand<'_>, identity: &Identity) -> Result<()> {
    let mut tried = Vec::new();
    for table in stand.tenant_tables() {
        let rights = stand.facts.rights(&identity.role, table.oid);
        if rights.insertable.is_empty() || table.is_partition {
            continue;
        }
        let facts = stand.facts;
        let telling: Vec<&Constraint> = facts
            .constraints
            .iter()
            .filter(|key| key.table == table.oid && tells(stand, table, key))
            .collect();
        for key in telling {
            let Some(theirs) = stand.row(table.oid, Side::B).map(|row| row.values.clone()) else {
                continue;
            };
            let wish = Wish {
                turn: 1,
                ..Wish::default()
            };
            let unknown = stand.plan.fresh(stand.ground, table, Side::A, &wish);
            let mut known = stand.plan.fresh(stand.ground, table, Side::A, &wish);
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
    let answers = runner::run(stand.session, &steps).await?;
    for ((table, key, known, _), came) in tried.iter().zip(answers.chunks(2)) {
        let code = |at: usize| {
            came.get(at)
                .and_then(|answers| answers.iter().find_map(|answer| answer.code.clone()))
        };
        let clash = matches!(code(0).as_deref(), Some("23505" | "23P01"));
        if clash && code(1).is_none() {
            let script = stand.script(&[table.oid], identity, std::slice::from_ref(known));
            let names = concerned(table, key).join(", ");
            stand.leak(Leak {
                object: table.title(),
                command: "existence",
                identity,
                class: "E23",
                weight: Weight::Low,
                why: format!("`{}` spans all tenants: an own row is refused when another tenant has the same {names}", key.name),
                rows: None,
                exposes: None,
                script: Some(script),
                proven_by: ProvenBy::Probe,
            });
        }
    }
    Ok(())
}

/// Says whether a unique or exclusion constraint can tell a caller something worth knowing.
fn tells(stand: &Stand<'_>, table: &Relation, key: &Constraint) -> bool {
    if !matches!(key.kind.as_str(), "p" | "u" | "i" | "x") {
        return false;
    }
    let tenant = stand.ground.tenant_column(table.oid).unwrap_or("");
    let names = concerned(table, key);
    let surrogate = key.kind == "p"
        && names.len() == 1
        && table.column(&names[0]).is_some_and(|column| {
            column.base.starts_with("int")
                || column.base == "uuid"
                || matches!(names[0].as_str(), "id" | "key")
        });
    let pointed = key.kind != "x"
        && stand
            .facts
            .foreign_keys(table.oid)
            .any(|own| names.iter().all(|name| own.columns.contains(name)));
    let drawn = names.iter().any(|name| {
        words::is_unguessable(name)
            || table
                .column(name)
                .is_some_and(|column| column.base == "uuid" && key.kind != "x")
    });
    let whole = words::mentions(&key.definition, tenant) && !tenant.is_empty();
    !names.is_empty()
        && !surrogate
        && !pointed
        && !drawn
        && !whole
        && !names.iter().any(|name| name == tenant)
}

/// Gives the columns that a key looks at, expressions included.
fn concerned(table: &Relation, key: &Constraint) -> Vec<String> {
    if !key.columns.is_empty() && key.kind != "x" && !key.definition.contains("lower(") {
        return key.columns.clone();
    }
    let inside = key.definition.split_once('(').map_or("", |(_, rest)| rest);
    table
        .columns
        .iter()
        .filter(|column| words::mentions(inside, &column.name))
        .map(|column| column.name.clone())
        .collect()
}
