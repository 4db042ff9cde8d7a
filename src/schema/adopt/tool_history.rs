//! Reads another tool's history table: the applied migrations, and incomplete ones.
//!
//! The table is never written.

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::adopt::Tool;
use crate::catalog::{Catalog, Kind};
use crate::finding::Finding;
use crate::pg::session::Session;
use crate::sql::name::ObjectName;
use crate::sql::safe::Sql;

/// A tool's history table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolHistoryTable {
    pub tool: Tool,
    /// The schema of the table.
    pub schema: String,
    pub name: String,
}

impl ToolHistoryTable {
    /// Returns the table's name, quoted where needed.
    pub fn table(&self) -> ObjectName {
        ObjectName::new(&self.schema, &self.name)
    }
}

impl std::fmt::Display for ToolHistoryTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// An applied migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The tool's key of the migration.
    pub key: String,
    /// The recorded checksum.
    pub proof: Option<String>,
    /// When it was applied, as RFC 3339.
    pub at: Option<String>,
}

impl HistoryRow {
    /// A row without a checksum and a time.
    pub fn of(key: String) -> Self {
        HistoryRow {
            key,
            proof: None,
            at: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolHistory {
    /// The applied migrations, in the tool's order.
    pub rows: Vec<HistoryRow>,
    /// Migrations that the tool records as failed or incomplete.
    pub broken: Vec<Finding>,
    /// Keys up to which everything is applied, for tools that record only the last one.
    pub up_to: Vec<String>,
}

/// The default names of history tables, with their first columns.
const TABLES: &[(&str, &str, Tool)] = &[
    (
        "__diesel_schema_migrations",
        "version character varying,run_on",
        Tool::Diesel,
    ),
    (
        "_prisma_migrations",
        "id character varying,checksum character varying,finished_at",
        Tool::Prisma,
    ),
    (
        "_sqlx_migrations",
        "version bigint,description text,installed_on",
        Tool::Sqlx,
    ),
    (
        "alembic_version",
        "version_num character varying",
        Tool::Alembic,
    ),
    (
        "changes",
        "change_id text,script_hash text,change text",
        Tool::Sqitch,
    ),
    (
        "flyway_schema_history",
        "installed_rank integer,version character varying",
        Tool::Flyway,
    ),
    (
        "schema_version",
        "installed_rank integer,version character varying",
        Tool::Flyway,
    ),
    (
        "goose_db_version",
        "id integer,version_id bigint,is_applied boolean",
        Tool::Goose,
    ),
    (
        "migrations",
        "hash text,previous_hash text,filename text",
        Tool::GraphileMigrate,
    ),
    (
        "pgmigrations",
        "id integer,name character varying,run_on",
        Tool::NodePgMigrate,
    ),
    ("refinery_schema_history", "version ", Tool::Refinery),
    (
        "schema_migrations",
        "version bigint,dirty boolean",
        Tool::GolangMigrate,
    ),
    (
        "schema_migrations",
        "version character varying",
        Tool::Dbmate,
    ),
    ("schema_migrations", "version text", Tool::Supabase),
];

/// Finds the history tables of tools in a database; `named` is one that the user named.
pub async fn find_history_tables(
    session: &Session,
    named: Option<(&str, &str)>,
) -> Result<Vec<ToolHistoryTable>> {
    let mut names: Vec<&str> = TABLES.iter().map(|(name, _, _)| *name).collect();
    names.extend(named.map(|(_, name)| name));
    let rows = session
        .query(
            include_str!("queries/survey.sql"),
            &[(&names, Type::TEXT_ARRAY)],
        )
        .await
        .context("looking for the history of another tool")?;
    let mut found = Vec::new();
    for row in rows {
        let (schema, name): (String, String) = (row.get("schema"), row.get("name"));
        let columns: String = row.get("columns");
        let is_named = named == Some((&schema, &name));
        let alike = TABLES.iter().find(|(known, begin, tool)| {
            let here = *tool != Tool::Supabase || schema == "supabase_migrations" || is_named;
            let whole = *tool != Tool::Dbmate || columns == *begin;
            (*known == name || is_named) && columns.starts_with(begin) && here && whole
        });
        if let Some((_, _, tool)) = alike {
            found.push(ToolHistoryTable {
                tool: *tool,
                schema,
                name,
            });
        }
    }
    Ok(found)
}

/// Removes the history tables of other tools from a catalog.
pub fn without(catalog: &Catalog, found: &[ToolHistoryTable]) -> Catalog {
    // These tools have a schema of their own; with another name it may contain other objects.
    let schemas: Vec<&str> = found
        .iter()
        .map(|found| found.schema.as_str())
        .filter(|schema| ["graphile_migrate", "sqitch", "supabase_migrations"].contains(schema))
        .collect();
    catalog.retain(|key, object| {
        let schema = if key.kind == Kind::Schema {
            &*key.name
        } else {
            &*key.schema
        };
        let of = |found: &ToolHistoryTable| {
            let on = object.on.as_deref().unwrap_or(key);
            let is_it = *on.schema == *found.schema && *on.name == *found.name;
            // The sequence of a serial column is named after its table.
            let sequence = matches!(key.kind, Kind::Sequence | Kind::SequenceOwner)
                && *key.schema == *found.schema
                && key.name.starts_with(&format!("{}_", found.name));
            is_it || sequence
        };
        !schemas.contains(&schema) && !found.iter().any(of)
    })
}

/// Reads a tool's history.
pub async fn read(session: &Session, found: &ToolHistoryTable) -> Result<ToolHistory> {
    let sql = Sql::fill(history_query(found.tool), &[&found.table()]);
    let rows = session
        .query_sql(&sql, &[])
        .await
        .with_context(|| format!("reading {found}"))?;
    let mut record = ToolHistory::default();
    for row in rows {
        let key: String = row.get(0);
        let state: String = row.get(3);
        let read = HistoryRow {
            key: key.clone(),
            proof: row.get(1),
            at: row.get(2),
        };
        match state.as_str() {
            "applied" => record.rows.push(read),
            "up-to" => record.up_to.push(key),
            "reverted" => {}
            _ => record.broken.push(broken(found, &key, &state)),
        }
    }
    if found.tool == Tool::Sqitch {
        record.broken.extend(sqitch_failure(session, found).await?);
    }
    Ok(record)
}

fn broken(found: &ToolHistoryTable, key: &str, state: &str) -> Finding {
    let (message, help) = match found.tool {
        Tool::GolangMigrate => (
            format!("{found} is `dirty`: migration {key} is partially applied"),
            format!("complete or undo the migration by hand, then run: migrate force {key}"),
        ),
        Tool::Prisma => (
            format!("{found} records migration {key} as started but not finished"),
            format!("prisma migrate resolve --applied {key}, or --rolled-back {key}"),
        ),
        Tool::Flyway => (
            format!("{found} records migration {key} as failed"),
            "undo the migration by hand, then run: flyway repair".to_owned(),
        ),
        Tool::Sqlx => (
            format!("{found} records migration {key} as not successful"),
            "undo the migration by hand, then delete its row from the history table".to_owned(),
        ),
        _ => (
            format!("{found} records migration {key} as `{state}`"),
            format!("fix the migration with {} first", found.tool),
        ),
    };
    Finding::error("adopt-broken", format!("migration {key}"), message).help(help)
}

/// Reports whether the latest event in Sqitch's registry is a failure.
async fn sqitch_failure(session: &Session, found: &ToolHistoryTable) -> Result<Option<Finding>> {
    let events = ObjectName::new(&found.schema, "events");
    let sql = Sql::fill(
        "SELECT event::text, change::text FROM {} ORDER BY committed_at DESC LIMIT 1",
        &[&events],
    );
    let rows = session.query_sql(&sql, &[]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (event, change): (String, String) = (row.get(0), row.get(1));
    Ok((event == "fail").then(|| broken(found, &change, "fail")))
}

/// Returns the query for a history: key, checksum, time and state, in the tool's order.
fn history_query(tool: Tool) -> &'static str {
    match tool {
        Tool::Alembic => {
            "SELECT version_num::text, NULL::text, NULL::text, 'up-to' FROM {} ORDER BY 1"
        }
        Tool::Dbmate => {
            "SELECT version::text, NULL::text, NULL::text, 'applied' FROM {} ORDER BY 1"
        }
        Tool::Supabase => {
            "SELECT version::text, NULL::text, NULL::text, 'applied' FROM {} ORDER BY 1"
        }
        Tool::Diesel => include_str!("queries/diesel.sql"),
        Tool::Flyway => include_str!("queries/flyway.sql"),
        Tool::GolangMigrate => {
            "SELECT version::text, NULL::text, NULL::text, CASE WHEN dirty THEN 'dirty' WHEN version < 0 THEN 'reverted' ELSE 'up-to' END FROM {}"
        }
        Tool::Goose => include_str!("queries/goose.sql"),
        Tool::GraphileMigrate => include_str!("queries/graphile_migrate.sql"),
        Tool::NodePgMigrate => include_str!("queries/node_pg_migrate.sql"),
        Tool::Prisma => include_str!("queries/prisma.sql"),
        Tool::Refinery => {
            "SELECT version::text, NULL::text, applied_on::text, 'applied' FROM {} ORDER BY version"
        }
        Tool::Sqitch => include_str!("queries/sqitch.sql"),
        Tool::Sqlx => include_str!("queries/sqlx.sql"),
    }
}

impl ToolHistory {
    /// Returns all applied migrations: the recorded ones and those up to the last recorded one, in the order of `keys`.
    pub fn applied(&self, keys: &[String]) -> Vec<HistoryRow> {
        // A key without a file covers all smaller versions if it is a number, otherwise all known ones.
        let reach = |key: &String| match keys.iter().position(|known| known == key) {
            Some(at) => Some(at),
            None => match key.parse::<i64>() {
                Ok(number) => keys
                    .iter()
                    .rposition(|known| known.parse::<i64>().is_ok_and(|known| known <= number)),
                Err(_) => keys.len().checked_sub(1),
            },
        };
        let last = self.up_to.iter().filter_map(reach).max();
        let mut rows: Vec<HistoryRow> = Vec::new();
        let plain = |key: &String| HistoryRow::of(key.clone());
        rows.extend(keys.iter().take(last.map_or(0, |last| last + 1)).map(plain));
        let unknown = self.up_to.iter().filter(|key| !keys.contains(key));
        rows.extend(unknown.map(plain));
        for row in &self.rows {
            match rows.iter_mut().find(|known| known.key == row.key) {
                Some(known) => *known = row.clone(),
                None => rows.push(row.clone()),
            }
        }
        rows
    }
}
