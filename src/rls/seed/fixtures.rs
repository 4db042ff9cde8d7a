//! Test rows from `policies/fixtures.sql`: rows of both tenants, of which B's are held back until
//! the first reading is done, so that what they change is seen.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::pg::session::Session;
use crate::probed_schema::Relation;
use crate::seed::insert::SeedResult;
use crate::seed::plan::{SeedPlan, SeedRow, SeedStage};
use crate::seed::tenancy_map::{Side, TenancyMap};
use crate::seed::values::Value;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;

/// B's rows of tables, kept back.
#[derive(Default)]
pub(crate) struct HeldBackRows<'a> {
    tables: Vec<&'a Relation>,
}

/// Runs the file as the owner, with triggers and checks as they are, and keeps back what is B's.
pub(crate) async fn run<'a>(
    session: &Session,
    tenancy_map: &TenancyMap<'a>,
    (shown, text): (&str, &str),
    plan: &mut SeedPlan,
    filled: &mut SeedResult,
) -> Result<HeldBackRows<'a>> {
    session.confinement().check(shown, text)?;
    let before: String = session
        .query_one("SELECT pg_catalog.pg_current_xact_id()::text", &[])
        .await?
        .get(0);
    let before = Sql::printed_by_server(before);
    session
        .run(&Sql::written_by_user(text))
        .await
        .with_context(|| format!("running {shown} on the shadow database"))?;
    let mut held = HeldBackRows::default();
    for table in tenancy_map
        .order()
        .into_iter()
        .filter(|table| tenancy_map.is_tenant_table(table.oid))
    {
        for (side, tenant) in [(Side::A, 0), (Side::B, 1)] {
            let of = of(tenancy_map, table, tenant, &before);
            let rows = rows(session, table, &of).await?;
            if rows.is_empty() {
                continue;
            }
            if side == Side::B {
                session
                    .run(&Sql::fill(
                        "CREATE TEMPORARY TABLE {} AS SELECT t.* FROM {} AS t WHERE {}",
                        &[&Ident::new(name(table)), &table.object(), &of],
                    ))
                    .await?;
                held.tables.push(table);
            }
            filled.unfilled.remove(&table.oid);
            let stage = if side == Side::A {
                SeedStage::Own
            } else {
                SeedStage::Private
            };
            plan.rows.extend(rows.into_iter().map(|values| SeedRow {
                table: table.oid,
                side,
                stage,
                values,
                usual: true,
                stored: true,
            }));
        }
    }
    session
        .run(&Sql::new("SET session_replication_role = replica"))
        .await?;
    for table in held.tables.iter().rev() {
        let of = of(tenancy_map, table, 1, &before);
        session
            .run(&Sql::fill(
                "DELETE FROM {} AS t WHERE {}",
                &[&table.object(), &of],
            ))
            .await?;
    }
    session
        .run(&Sql::new("RESET session_replication_role"))
        .await?;
    Ok(held)
}

impl HeldBackRows<'_> {
    /// Puts B's rows back.
    pub(crate) async fn release(&self, session: &Session) -> Result<()> {
        session
            .run(&Sql::new("SET session_replication_role = replica"))
            .await?;
        for table in &self.tables {
            let columns = Sql::join(
                table
                    .columns
                    .iter()
                    .filter(|column| !column.generated)
                    .map(|column| Ident::new(column.name.as_str())),
                ", ",
            );
            session
                .run(&Sql::fill(
                    "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT DO NOTHING",
                    &[&table.object(), &columns, &columns, &ObjectName::new("pg_temp", name(table))],
                ))
                .await?;
        }
        session
            .run(&Sql::new("RESET session_replication_role"))
            .await
    }
}

fn name(table: &Relation) -> String {
    format!("af_db_held_{}", table.oid)
}

/// Rows of a tenant that came after a transaction.
fn of(tenancy_map: &TenancyMap<'_>, table: &Relation, tenant: usize, before: &Sql) -> Sql {
    Sql::fill(
        "{} AND t.xmin::text::int8 > {}",
        &[&tenancy_map.is_of(table.oid, "t", tenant, 0), before],
    )
}

async fn rows(
    session: &Session,
    table: &Relation,
    of: &Sql,
) -> Result<Vec<BTreeMap<String, Value>>> {
    let columns = Sql::join(
        table
            .columns
            .iter()
            .map(|column| Sql::fill("t.{}::text", &[&Ident::new(column.name.as_str())])),
        ", ",
    );
    let sql = Sql::fill(
        "SELECT coalesce(pg_catalog.json_agg(x.r)::text, '[]') FROM (SELECT pg_catalog.json_build_array({}) AS r FROM {} AS t WHERE {} LIMIT 20) AS x",
        &[&columns, &table.object(), of],
    );
    let text = session.simple_query(&sql).await?;
    let text = text.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let rows: Vec<Vec<Value>> = serde_json::from_str(text.as_deref().unwrap_or("[]"))
        .context("reading the rows of the fixtures")?;
    let names = || table.columns.iter().map(|column| column.name.clone());
    Ok(rows
        .into_iter()
        .map(|row| names().zip(row).collect())
        .collect())
}
