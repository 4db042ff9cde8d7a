//! Finds two tenants that have rows, if none or unsuitable ones are named.

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::probed_schema::ProbedSchema;
use crate::seed::tenancy_map::TenancyMap;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::tenancy::Tenancy;

/// How many tables are looked into; more of them hardly change who has the most.
const TABLES: usize = 200;

/// Returns the tenancy with two tenants that have rows: those it names where both do, else the two that are in the most tables.
///
/// Where there are no two, it is given back as it was. The session must see the rows of all.
pub async fn with_present_tenants(session: &Session, tenancy: &Tenancy) -> Result<Tenancy> {
    let facts = ProbedSchema::read(session).await?;
    let tenancy_map = TenancyMap::survey(&facts, tenancy);
    let tables = facts.relations.values().filter(|table| table.is_table());
    let each = tables.filter_map(|table| {
        let column = Ident::new(tenancy_map.tenant_column(table.oid)?);
        Some(Sql::fill(
            "(SELECT DISTINCT {}::text AS tenant FROM (SELECT {} FROM {} WHERE {} IS NOT NULL LIMIT 100000) AS t)",
            &[&column, &column, &table.object(), &column],
        ))
    });
    let each: Vec<Sql> = each.take(TABLES).collect();
    if each.is_empty() {
        return Ok(tenancy.clone());
    }
    let sql = Sql::fill(
        "SELECT tenant FROM ({}) AS t GROUP BY tenant \
         ORDER BY tenant = ANY ($1) DESC, pg_catalog.count(*) DESC, tenant LIMIT 2",
        &[&Sql::join(each, " UNION ALL ")],
    );
    let named = tenancy.tenants.to_vec();
    let found = session
        .query_sql(&sql, &[(&named, Type::TEXT_ARRAY)])
        .await
        .context("looking for two tenants")?;
    let mut tenancy = tenancy.clone();
    if let [a, b] = found.as_slice() {
        let (a, b): (String, String) = (a.get(0), b.get(0));
        // RunAs is A and who is B is said by whichever role names both.
        if named != [b.as_str(), a.as_str()] {
            tenancy.tenants = [a, b];
        }
    }
    Ok(tenancy)
}
