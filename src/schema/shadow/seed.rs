//! Inserts test rows into a shadow database.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::pg::session::Session;
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

/// What each table holds: a hash of each row that no order of columns changes, sorted.
pub type Digests = BTreeMap<ObjectName, Vec<String>>;

/// Puts a few rows into every empty table, as far as its constraints allow.
pub async fn fill(session: &Session) -> Result<()> {
    session
        .run(&Sql::new(include_str!("queries/seed.sql")))
        .await
        .context("inserting rows into the shadow database")
}

/// Reads what every table holds, in one question.
pub async fn digests(session: &Session) -> Result<Digests> {
    let rows = session
        .query(include_str!("queries/digest_tables.sql"), &[])
        .await?;
    let tables: Vec<ObjectName> = rows
        .iter()
        .map(|row| ObjectName::new(row.get::<_, String>(0), row.get::<_, String>(1)))
        .collect();
    if tables.is_empty() {
        return Ok(Digests::new());
    }
    let questions = tables.iter().map(|table| {
        Sql::fill(
            "SELECT {}::text, COALESCE(pg_catalog.array_agg(r.hash ORDER BY r.hash), '{}'::text[]) \
             FROM (SELECT pg_catalog.md5(pg_catalog.to_jsonb(t)::text) AS hash FROM {} AS t) AS r",
            &[&Literal::new(table.to_string()), &Sql::new("{}"), table],
        )
    });
    let answers = session
        .query_sql(&Sql::join(questions, " UNION ALL "), &[])
        .await?;
    let mut by_name: BTreeMap<String, Vec<String>> =
        answers.iter().map(|row| (row.get(0), row.get(1))).collect();
    let of = |table: ObjectName| by_name.remove(&table.to_string()).map(|rows| (table, rows));
    Ok(tables.into_iter().filter_map(of).collect())
}
