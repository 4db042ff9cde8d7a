//! Measures what policies cost: each tenant table gets rows of a hundred tenants, and EXPLAIN compares how one tenant
//! reads its own with the policies and without.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::probe::context::ProbeContext;
use crate::probed_schema::{Column, Relation};
use crate::runner::Identity;
use crate::seed::insert;
use crate::seed::tenancy_map::Side;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

/// What the policies of a table cost a tenant who reads its own rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyCost {
    pub table: String,
    /// Its column that names the tenant.
    pub column: String,
    /// The role that read.
    pub role: String,
    /// The rows of all tenants that there were.
    pub rows: i64,
    /// The index that finds the tenant's rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Whether the identity is evaluated for each row.
    pub asked_per_row: bool,
    /// How many times longer it takes than the same query without policies.
    pub factor: f64,
}

/// Rows made for each table: enough for an index to pay, on disks that jump as fast as they read.
const ROWS: usize = 2000;

/// Tables that are measured.
const TABLES: usize = 40;

/// Measures what the usual member of each role reads; the rows made for it are gone afterwards.
pub(crate) async fn all(context: &ProbeContext<'_>) -> Result<Vec<PolicyCost>> {
    let mut costs = Vec::new();
    let members = context.members();
    for table in context.tenant_tables() {
        let Some(column) = context
            .tenancy_map
            .tenant_column(table.oid)
            .and_then(|name| table.column(name))
        else {
            continue;
        };
        let reader = members.iter().find(|identity| {
            context
                .facts
                .rights(&identity.role, table.oid)
                .may("SELECT")
                && context.sees.contains(&(identity.role.clone(), table.oid))
        });
        let (Some(reader), true) = (
            reader,
            table.protected && !table.is_partition && costs.len() < TABLES,
        ) else {
            continue;
        };
        context.session.run(&Sql::new("BEGIN; SET LOCAL statement_timeout = '20s'; SET LOCAL session_replication_role = replica; SET LOCAL random_page_cost = 1.1")).await?;
        let measured = measure(context, table, column, reader).await;
        context.session.run(&Sql::new("ROLLBACK")).await?;
        match measured {
            Ok(cost) => costs.extend(cost),
            // What such rows cannot be made for is not measured.
            Err(error)
                if error
                    .downcast_ref::<ServerError>()
                    .is_some_and(|server| !server.closed) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(costs)
}

async fn measure(
    context: &ProbeContext<'_>,
    table: &Relation,
    column: &Column,
    reader: &Identity,
) -> Result<Option<PolicyCost>> {
    let session = context.session;
    make_rows(context, table, column).await?;
    let rows = session
        .simple_query(&Sql::fill(
            "ANALYZE {}; SELECT pg_catalog.count(*) FROM {}",
            &[&table.object(), &table.object()],
        ))
        .await?;
    let rows: i64 = texts(&rows)
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let key = context.tenancy_map.key(Side::A, 0);
    let plain = Sql::fill(
        "SELECT pg_catalog.count(*) FROM {} AS t WHERE t.{} = {}",
        &[
            &table.object(),
            &Ident::new(column.name.as_str()),
            &insert::literal(&key, &column.type_name),
        ],
    );
    let bare = Sql::fill(
        "SELECT pg_catalog.count(*) FROM {} AS t",
        &[&table.object()],
    );
    let (without, _) = explain(session, None, &plain).await?;
    let (with, plan) = explain(session, Some(reader), &bare).await?;
    let Some(plan) = plan else { return Ok(None) };
    let mut seen = ExplainedPlan::default();
    seen.read(&plan["Plan"], &column.name, &calls(context, table));
    Ok(Some(PolicyCost {
        table: table.title(),
        column: column.name.clone(),
        role: reader.role.clone(),
        rows,
        index: seen.index,
        asked_per_row: seen.per_row,
        factor: (with / without.max(0.02) * 10.0).round() / 10.0,
    }))
}

/// Repeats a row of A for a hundred tenants.
async fn make_rows(context: &ProbeContext<'_>, table: &Relation, tenant: &Column) -> Result<()> {
    let constraints = || {
        let all = context.facts.constraints.iter();
        all.filter(|constraint| constraint.table == table.oid)
    };
    for constraint in constraints()
        .filter(|constraint| matches!(constraint.kind.as_str(), "c" | "x") && !constraint.inherited)
    {
        context
            .session
            .run(&Sql::fill(
                "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
                &[&table.object(), &Ident::new(constraint.name.as_str())],
            ))
            .await?;
    }
    let keys: Vec<&Vec<String>> = constraints()
        .filter(|constraint| matches!(constraint.kind.as_str(), "p" | "u" | "i"))
        .map(|constraint| &constraint.columns)
        .collect();
    let alone = keys
        .iter()
        .any(|key| key.as_slice() == [tenant.name.clone()]);
    let stored: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| !column.generated)
        .collect();
    let values = Sql::join(
        stored.iter().map(|column| {
            let unique = keys.iter().any(|key| key.contains(&column.name));
            value((table, tenant), column, (unique, alone))
        }),
        ", ",
    );
    let names = Sql::join(
        stored.iter().map(|column| Ident::new(column.name.as_str())),
        ", ",
    );
    let sql = Sql::fill(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pg_catalog.generate_series(1, {}) AS n, (SELECT * FROM {} AS t WHERE {} LIMIT 1) AS s ON CONFLICT DO NOTHING",
        &[
            &table.object(),
            &names,
            &values,
            &Sql::printed_by_server(ROWS.to_string()),
            &table.object(),
            &context.tenancy_map.is_of(table.oid, "t", 0, 0),
        ],
    );
    context.session.run(&sql).await
}

/// Writes what a column holds in row `n` that is made after the row `s`.
fn value(
    (table, tenant): (&Relation, &Column),
    column: &Column,
    (unique, alone): (bool, bool),
) -> Sql {
    let name = Ident::new(column.name.as_str());
    let of_tenant = column.name == tenant.name;
    let key = table.key.as_deref();
    let partitions = key.is_some_and(|key| crate::expression_text::mentions(key, &column.name));
    // A hundred tenants, unless each may have one row only.
    let number = if of_tenant && !alone { "n % 100" } else { "n" };
    let number = Sql::printed_by_server(number);
    let typed = Sql::printed_by_server(column.type_name.as_str());
    let fresh = match column.base.as_str() {
        _ if !of_tenant && (partitions || !unique) => Sql::fill("s.{}", &[&name]),
        "uuid" => Sql::fill("pg_catalog.md5(({})::text)::uuid", &[&number]),
        "int4" | "int8" | "numeric" => Sql::fill("(1000000 + {})::{}", &[&number, &typed]),
        "int2" => Sql::fill("(20000 + {})::{}", &[&number, &typed]),
        "text" | "varchar" | "citext" => Sql::fill("('r' || {})::{}", &[&number, &typed]),
        "timestamp" | "timestamptz" => Sql::fill("(s.{} + n * interval '1 second')", &[&name]),
        _ => Sql::fill("s.{}", &[&name]),
    };
    if of_tenant {
        Sql::fill(
            "CASE WHEN n % 100 = 0 THEN s.{} ELSE {} END",
            &[&name, &fresh],
        )
    } else {
        fresh
    }
}

/// Runs a query three times; gives the shortest time and its plan.
async fn explain(
    session: &Session,
    reader: Option<&Identity>,
    query: &Sql,
) -> Result<(f64, Option<Value>)> {
    let mut all = Sql::new("SAVEPOINT af_db_cost");
    if let Some(identity) = reader {
        for one in identity.becoming_as_member() {
            all.push("; ").piece(&one);
        }
    }
    for _ in 0..3 {
        all.push("; ").piece(&Sql::fill(
            "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {}",
            &[query],
        ));
    }
    all.push("; ROLLBACK TO af_db_cost");
    let messages = session.simple_query(&all).await?;
    let mut best: (f64, Option<Value>) = (f64::MAX, None);
    for text in texts(&messages) {
        let Ok(Value::Array(plans)) = serde_json::from_str(text) else {
            continue;
        };
        let Some(plan) = plans
            .into_iter()
            .next()
            .filter(|plan| plan.get("Plan").is_some())
        else {
            continue;
        };
        let time = plan["Execution Time"].as_f64().unwrap_or(f64::MAX);
        if time < best.0 {
            best = (time, Some(plan));
        }
    }
    Ok(best)
}

fn texts(messages: &[SimpleQueryMessage]) -> impl Iterator<Item = &str> {
    messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

/// Returns what a filter says where it asks who asks, row by row.
fn calls(context: &ProbeContext<'_>, table: &Relation) -> Vec<String> {
    let called = context
        .facts
        .policies_of(table.oid)
        .flat_map(|policy| &policy.calls);
    let named = called.filter_map(|oid| context.facts.functions.get(oid));
    let mut calls: Vec<String> = named
        .map(|function| format!("{}(", function.name))
        .collect();
    calls.push("current_setting(".to_owned());
    calls
}

/// What an EXPLAIN plan shows.
#[derive(Default)]
struct ExplainedPlan {
    index: Option<String>,
    per_row: bool,
}

impl ExplainedPlan {
    fn read(&mut self, node: &Value, column: &str, calls: &[String]) {
        let text = |key: &str| node[key].as_str().unwrap_or_default();
        if text("Index Cond").contains(column) {
            self.index = Some(text("Index Name").to_owned());
        }
        let filter = text("Filter");
        let nested = filter.contains("(SubPlan") || filter.contains("EXISTS(SubPlan");
        self.per_row |= nested || calls.iter().any(|call| filter.contains(call.as_str()));
        for child in node["Plans"].as_array().into_iter().flatten() {
            // What is planned apart and runs once is not asked for each row.
            if child["Parent Relationship"] != "InitPlan" {
                self.read(child, column, calls);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_index_and_how_often() {
        let calls = ["tenant(".to_owned()];
        let read = |plan: Value| {
            let mut seen = ExplainedPlan::default();
            seen.read(&plan, "tenant_id", &calls);
            (seen.index, seen.per_row)
        };
        let once = serde_json::json!({"Node Type": "Aggregate", "Plans": [
            {"Node Type": "Index Only Scan", "Index Name": "i", "Index Cond": "(tenant_id = $0)"},
            {"Node Type": "Result", "Parent Relationship": "InitPlan", "Filter": "tenant() > 1"}]});
        assert_eq!(read(once), (Some("i".to_owned()), false));
        let each =
            serde_json::json!({"Node Type": "Seq Scan", "Filter": "(tenant_id = app.tenant())"});
        assert_eq!(read(each), (None, true));
    }
}
