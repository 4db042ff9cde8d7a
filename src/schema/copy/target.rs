//! The PostgreSQL tables that receive the rows, with their columns and foreign keys.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::pg::session::Session;

/// A column of a PostgreSQL table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Its type as PostgreSQL prints it.
    pub shown: String,
    /// The name of the base type.
    pub base: String,
    /// Whether that is an enum.
    pub is_enum: bool,
    /// Whether it refuses null.
    pub not_null: bool,
    /// Whether it has a default.
    pub has_default: bool,
    /// Whether it is generated.
    pub generated: bool,
    pub sequence: Option<String>,
}

/// A PostgreSQL table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The referenced tables of the same schema, and whether the foreign key is deferrable.
    pub needs: Vec<(String, bool)>,
}

pub(super) async fn tables(session: &Session, schema: &str) -> Result<BTreeMap<String, Table>> {
    let params: &[crate::pg::session::Param<'_>] = &[(&schema, Type::TEXT)];
    let (columns, references) = futures_util::future::join(
        session.query(include_str!("queries/columns.sql"), params),
        session.query(include_str!("queries/references.sql"), params),
    )
    .await;
    let doing = || format!("reading the tables of schema {schema}");
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for row in columns.with_context(doing)? {
        let table: String = row.get("table");
        tables.entry(table).or_default().columns.push(Column {
            name: row.get("column"),
            shown: row.get("shown"),
            base: row.get("base"),
            is_enum: row.get::<_, &str>("kind") == "e",
            not_null: row.get("not_null"),
            has_default: row.get("has_default"),
            generated: row.get("generated"),
            sequence: row.get("sequence"),
        });
    }
    for row in references.with_context(doing)? {
        let (from, to): (String, String) = (row.get("from"), row.get("to"));
        if let Some(table) = tables.get_mut(&from) {
            table.needs.push((to, row.get("deferrable")));
        }
    }
    Ok(tables)
}
