//! Probes privilege escalation: roles a request can become, membership rows it can write for itself, helpers of policies it can replace.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::probe::context::{Leak, ProbeContext};
use crate::probed_schema::{Function, Relation};
use crate::runner::{self, Answer, Identity, RunAs, Step};
use crate::seed::insert;
use crate::seed::plan::RowRequest;
use crate::seed::row_variants::RowVariant;
use crate::seed::tenancy_map::{MembershipTable, Side};
use crate::seed::values::Value;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::verdict::{ProvenBy, Weight};

/// Tries every way up of every member of A.
pub(crate) async fn all(context: &mut ProbeContext<'_>) -> Result<()> {
    for identity in context.members() {
        become_others(context, &identity).await?;
        join(context, &identity).await?;
        replace(context, &identity).await?;
        look_up(context, &identity).await?;
    }
    Ok(())
}

/// Counts B's rows in one table, as whichever role asks.
pub(crate) fn count(context: &ProbeContext<'_>, table: &Relation) -> Sql {
    Sql::fill(
        "SELECT pg_catalog.count(*)::text FROM {} AS t WHERE {}",
        &[
            &table.object(),
            &context.tenancy_map.is_of(table.oid, "t", 1, 0),
        ],
    )
}

/// Returns the tables whose opening would show a way up.
pub(crate) fn target_tables<'a>(context: &ProbeContext<'a>) -> Vec<&'a Relation> {
    let mut tables: Vec<&Relation> = context
        .tenant_tables()
        .into_iter()
        .filter(|table| !table.is_partition)
        .collect();
    tables.sort_by_key(|table| {
        (
            !context.tenancy_map.is_declared(table),
            context
                .tenancy_map
                .members
                .iter()
                .any(|members| members.table == table.oid),
        )
    });
    tables.truncate(12);
    tables
}

/// Reads a count.
pub(crate) fn number(answer: Option<&Answer>) -> i64 {
    answer
        .and_then(|answer| answer.given.as_deref()?.parse().ok())
        .unwrap_or(0)
}

async fn become_others(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let Some(role) = context.facts.roles.get(&identity.role) else {
        return Ok(());
    };
    let others: Vec<String> = role
        .becomes
        .iter()
        .filter(|other| !context.roles.contains(other) && !other.starts_with("pg_"))
        .cloned()
        .collect();
    let tables = target_tables(context);
    let mut tried = Vec::new();
    for other in &others {
        let mut became = identity.clone();
        became.session.clone_from(&identity.role);
        became.role.clone_from(other);
        tried.extend(
            tables
                .iter()
                .map(|table| (other.clone(), became.clone(), *table)),
        );
    }
    let steps: Vec<Vec<Step<'_>>> = tried
        .iter()
        .map(|(_, became, table)| {
            vec![
                runner::read(RunAs::Request(identity), count(context, table)),
                runner::read(RunAs::Request(became), count(context, table)),
            ]
        })
        .collect();
    let answers = runner::run(context.session, &steps).await?;
    for ((other, _, table), came) in tried.iter().zip(answers) {
        if number(came.first()) == 0 && number(came.get(1)) > 0 {
            let statements = [
                Sql::fill("SET LOCAL ROLE {}", &[&Ident::new(other.as_str())]),
                Sql::fill("SELECT * FROM {}", &[&table.object()]),
            ];
            let script = context.script(&[table.oid], identity, &statements);
            context.leak(Leak {
                object: table.title(),
                command: "set_role",
                identity,
                class: "A07",
                weight: Weight::High,
                why: format!("{} is a member of {other} and can SET ROLE {other}, which sees the rows of every tenant", identity.role),
                rows: Some(number(came.get(1))),
                exposes: None,
                script: Some(script),
                proven_by: ProvenBy::Probe,
            });
        }
    }
    Ok(())
}

/// A request that may write the rows that say who is a member makes itself one.
async fn join(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let tables = target_tables(context);
    let mut tried: Vec<(MembershipTable, &'static str, Sql)> = Vec::new();
    for members in context.tenancy_map.members.clone() {
        tried.extend(ways_in(context, identity, &members));
    }
    let steps: Vec<Vec<Step<'_>>> = tried
        .iter()
        .map(|(_, _, sql)| {
            let look = || {
                tables
                    .iter()
                    .map(|table| runner::read(RunAs::Request(identity), count(context, table)))
            };
            look()
                .chain([runner::need(RunAs::Request(identity), sql.clone())])
                .chain(look())
                .collect()
        })
        .collect();
    let answers = runner::run(context.session, &steps).await?;
    let mut opened = BTreeSet::new();
    for ((members, command, sql), came) in tried.iter().zip(answers) {
        for (number_of, table) in tables
            .iter()
            .enumerate()
            .filter(|(_, table)| table.oid != members.table)
        {
            let (before, after) = (
                number(came.get(number_of)),
                number(came.get(tables.len() + 1 + number_of)),
            );
            if before == 0 && after > 0 && opened.insert((table.oid, *command)) {
                let door = &context.facts.relations[&members.table];
                let statements = [
                    sql.clone(),
                    Sql::fill("SELECT * FROM {}", &[&table.object()]),
                ];
                let script = context.script(&[table.oid, door.oid], identity, &statements);
                let class = match (*command, door.protected) {
                    (_, false) => "B20",
                    ("select_after_join", _) => "B18",
                    _ => "B19",
                };
                context.leak(Leak {
                    object: table.title(),
                    command,
                    identity,
                    class,
                    weight: Weight::Critical,
                    why: format!("policies of {} trust {}, where the caller can write its own membership in another tenant", table.title(), door.title()),
                    rows: Some(after),
                    exposes: Some(door.title()),
                    script: Some(script),
                    proven_by: ProvenBy::Probe,
                });
            }
        }
    }
    Ok(())
}

fn ways_in(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    members: &MembershipTable,
) -> Vec<(MembershipTable, &'static str, Sql)> {
    let table = &context.facts.relations[&members.table];
    let rights = context.facts.rights(&identity.role, table.oid);
    let user = context.tenancy_map.user(Side::A, 0);
    let key = context.tenancy_map.key(Side::B, 0);
    let mut found = Vec::new();
    if !rights.insertable.is_empty() {
        let picks = BTreeMap::from([(members.user.clone(), Some(user.clone()))]);
        let request = RowRequest {
            variant: RowVariant {
                picks,
                shared: false,
            },
            turn: 0,
            lean: false,
        };
        let mut values = context
            .plan
            .fresh(context.tenancy_map, table, Side::B, &request);
        values.retain(|name, _| rights.insertable.contains(name));
        found.push((
            members.clone(),
            "select_after_join",
            insert::insert(table, &values),
        ));
    }
    let literal = |name: &str, value: &Value| {
        table
            .column(name)
            .map(|column| insert::literal(value, &column.type_name))
    };
    if let (true, Some(theirs), Some(own)) = (
        rights.updatable.contains(&members.tenant),
        literal(&members.tenant, &key),
        literal(&members.user, &Some(user)),
    ) {
        let (tenant, member) = (
            Ident::new(members.tenant.as_str()),
            Ident::new(members.user.as_str()),
        );
        found.push((
            members.clone(),
            "select_after_update",
            Sql::fill(
                "UPDATE {} SET {} = {} WHERE {} = {}",
                &[&table.object(), &tenant, &theirs, &member, &own],
            ),
        ));
    }
    found
}

/// A request that owns a helper of policies gives it another body.
async fn replace(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let Some(role) = context.facts.roles.get(&identity.role) else {
        return Ok(());
    };
    let own = |function: &&Function| {
        function.owner == role.name
            || role.has.contains(&function.owner)
            || role.becomes.contains(&function.owner)
    };
    let helpers: BTreeSet<i64> = context
        .facts
        .policies
        .iter()
        .flat_map(|policy| policy.calls.clone())
        .collect();
    let tables = target_tables(context);
    for function in helpers
        .iter()
        .filter_map(|oid| context.facts.functions.get(oid))
        .filter(own)
    {
        let Some(sql) = another_body(context, function) else {
            continue;
        };
        let mut steps: Vec<Step<'_>> = tables
            .iter()
            .map(|table| runner::read(RunAs::Request(identity), count(context, table)))
            .collect();
        let mut owner = identity.clone();
        owner.session.clone_from(&identity.role);
        owner.role.clone_from(&function.owner);
        steps.push(runner::need(RunAs::Request(&owner), sql.clone()));
        steps.extend(
            tables
                .iter()
                .map(|table| runner::read(RunAs::Request(identity), count(context, table))),
        );
        let came = runner::run(context.session, &[steps]).await?.remove(0);
        let opened = (0..tables.len())
            .find(|at| number(came.get(*at)) == 0 && number(came.get(tables.len() + 1 + at)) > 0);
        let Some(table) = opened.map(|at| tables[at]) else {
            continue;
        };
        let script = context.script(
            &[table.oid],
            identity,
            &[sql, Sql::fill("SELECT * FROM {}", &[&table.object()])],
        );
        context.leak(Leak {
            object: function.title(),
            command: "replace",
            identity,
            class: "D09",
            weight: Weight::High,
            why: format!(
                "policies of {} call {}, which {} owns and can replace",
                table.title(),
                function.title(),
                function.owner
            ),
            rows: None,
            exposes: Some(table.title()),
            script: Some(script),
            proven_by: ProvenBy::Probe,
        });
    }
    Ok(())
}

/// A is put below B in the hierarchy of tenants: to be below is not to see.
async fn look_up(context: &mut ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let Some(root) = context
        .tenancy_map
        .root
        .and_then(|oid| context.facts.relations.get(&oid))
    else {
        return Ok(());
    };
    let Some(key) = context
        .facts
        .foreign_keys(root.oid)
        .find(|key| key.target == Some(root.oid) && key.columns.len() == 1)
    else {
        return Ok(());
    };
    let [parent, own] = [key.columns[0].as_str(), key.target_columns[0].as_str()];
    let Some(typed) = root.column(own).map(|column| column.type_name.clone()) else {
        return Ok(());
    };
    let [a, b] =
        [Side::A, Side::B].map(|side| insert::literal(&context.tenancy_map.key(side, 0), &typed));
    let below = Sql::fill(
        "UPDATE {} SET {} = {} WHERE {} = {}",
        &[
            &root.object(),
            &Ident::new(parent),
            &b,
            &Ident::new(own),
            &a,
        ],
    );
    let tables: Vec<&Relation> = target_tables(context)
        .into_iter()
        .filter(|table| table.oid != root.oid)
        .collect();
    let look = || {
        tables
            .iter()
            .map(|table| runner::read(RunAs::Request(identity), count(context, table)))
    };
    let steps: Vec<Step<'_>> = look()
        .chain([runner::need(RunAs::Owner, below.clone())])
        .chain(look())
        .collect();
    let came = runner::run(context.session, &[steps]).await?.remove(0);
    let opened: Vec<&Relation> = (0..tables.len())
        .filter(|at| number(came.get(*at)) == 0 && number(came.get(tables.len() + 1 + at)) > 0)
        .map(|at| tables[at])
        .collect();
    for table in opened {
        let script = context.script(
            &[table.oid, root.oid],
            identity,
            &[Sql::fill("SELECT * FROM {}", &[&table.object()])],
        );
        context.leak(Leak {
            object: table.title(),
            command: "select",
            identity,
            class: "B41",
            weight: Weight::Critical,
            why: format!("a child tenant in {} (`{parent}`) sees the rows of its parent: the hierarchy is traversed in the wrong direction", root.title()),
            rows: None,
            exposes: None,
            script: Some(format!("-- {below};\n{script}")),
            proven_by: ProvenBy::Probe,
        });
    }
    Ok(())
}

fn another_body(context: &ProbeContext<'_>, function: &Function) -> Option<Sql> {
    let result = function.result.clone()?;
    let value = if result == "boolean" {
        "true".to_owned()
    } else {
        context.tenancy_map.key(Side::B, 0)?
    };
    let shape = if function.set {
        Sql::new("SETOF ")
    } else {
        Sql::new("")
    };
    let plain = result.trim_start_matches("SETOF ").to_owned();
    let body = Sql::fill(
        "SELECT {}::{}",
        &[&Literal::new(value), &Sql::printed_by_server(plain.clone())],
    );
    Some(Sql::fill(
        "CREATE OR REPLACE FUNCTION {}({}) RETURNS {}{} LANGUAGE sql STABLE AS {}",
        &[
            &function.object(),
            &Sql::printed_by_server(function.identity.clone()),
            &shape,
            &Sql::printed_by_server(plain),
            &Literal::new(body.to_string()),
        ],
    ))
}
