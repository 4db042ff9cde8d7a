//! Reads a SQLite database: its tables and their rows.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OpenFlags};

use crate::error::fail;

/// A column of a SQLite table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The type it was declared with, as written; SQLite itself stores any value in any column.
    pub declared: String,
    /// Whether it refuses null.
    pub not_null: bool,
    /// Its position in the primary key, from 1; 0 if it is not part of it.
    pub key: i64,
}

/// A table of a SQLite database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    pub rows: i64,
}

/// A foreign key of a SQLite table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The referenced table.
    pub table: String,
    pub from: Vec<String>,
    /// The referenced columns; empty for the primary key.
    pub to: Vec<String>,
    /// The ON DELETE action.
    pub on_delete: String,
}

/// A SQLite database, opened for reading.
pub struct Database {
    connection: Connection,
}

/// Parses `sqlite://dev.db`, `sqlite:dev.db` or a file name.
pub fn path(source: &str) -> Option<PathBuf> {
    let rest = source
        .strip_prefix("sqlite://")
        .or_else(|| source.strip_prefix("sqlite:"));
    if let Some(rest) = rest {
        let rest = rest.split('?').next().unwrap_or(rest);
        return Some(PathBuf::from(rest));
    }
    let named = [".db", ".sqlite", ".sqlite3"];
    named
        .iter()
        .any(|ending| source.ends_with(ending))
        .then(|| PathBuf::from(source))
}

/// Opens an existing database read-only.
pub fn open(path: &Path) -> Result<Database> {
    let shown = path.display();
    if !path.is_file() {
        return Err(fail(format!("SQLite database `{shown}` not found"))
            .hint("give the file: af-db copy sqlite://dev.db")
            .into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).with_context(|| format!("opening {shown}"))?;
    // One snapshot for everything that is read, despite concurrent writes.
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM sqlite_master")
        .map_err(|_| fail(format!("`{shown}` is not a SQLite database")))?;
    Ok(Database { connection })
}

impl Database {
    /// Reads the tables, by name.
    pub fn tables(&self) -> Result<Vec<Table>> {
        let mut names = self.connection.prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        )?;
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        names.into_iter().map(|name| self.table(name)).collect()
    }

    fn table(&self, name: String) -> Result<Table> {
        let mut statement = self
            .connection
            .prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid")?;
        let columns = statement
            .query_map([&name], |row| {
                Ok(Column {
                    name: row.get(0)?,
                    declared: row.get(1)?,
                    not_null: row.get(2)?,
                    key: row.get(3)?,
                })
            })?
            .collect::<Result<_, _>>()
            .with_context(|| format!("reading the columns of {name}"))?;
        let count = format!("SELECT count(*) FROM {}", quoted(&name));
        let rows = self.connection.query_row(&count, [], |row| row.get(0))?;
        Ok(Table {
            name,
            columns,
            rows,
        })
    }

    /// Reads the columns of what must be unique beside the primary key.
    pub(super) fn unique(&self, table: &str) -> Result<Vec<Vec<String>>> {
        let mut indexes = self.connection.prepare(
            "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk' AND NOT partial ORDER BY name",
        )?;
        let names: Vec<String> = indexes
            .query_map([table], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut unique = Vec::new();
        for name in names {
            let mut columns = self
                .connection
                .prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
            let columns: Vec<Option<String>> = columns
                .query_map([&name], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            // An index on an expression has columns without a name.
            unique.extend(columns.into_iter().collect::<Option<Vec<String>>>());
        }
        Ok(unique)
    }

    /// Reads the foreign keys of a table.
    pub(super) fn references(&self, table: &str) -> Result<Vec<Reference>> {
        let mut statement = self.connection.prepare(
            "SELECT id, \"table\", \"from\", \"to\", on_delete FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq",
        )?;
        let rows = statement.query_map([table], |row| {
            let to: Option<String> = row.get(3)?;
            Ok((
                row.get::<_, i64>(0)?,
                row.get(1)?,
                row.get(2)?,
                to,
                row.get(4)?,
            ))
        })?;
        let mut references: Vec<(i64, Reference)> = Vec::new();
        for row in rows {
            let (id, table, from, to, on_delete) = row?;
            match references.last_mut() {
                Some((last, reference)) if *last == id => {
                    reference.from.push(from);
                    reference.to.extend(to);
                }
                _ => references.push((
                    id,
                    Reference {
                        table,
                        from: vec![from],
                        to: to.into_iter().collect(),
                        on_delete,
                    },
                )),
            }
        }
        Ok(references
            .into_iter()
            .map(|(_, reference)| reference)
            .collect())
    }

    /// Prepares reading some columns of every row.
    pub(super) fn rows(&self, table: &str, columns: &[String]) -> Result<rusqlite::Statement<'_>> {
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(table));
        self.connection
            .prepare(&sql)
            .with_context(|| format!("reading {table}"))
    }
}

/// Quotes a name for SQLite.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_understood() {
        assert_eq!(path("sqlite://dev.db"), Some(PathBuf::from("dev.db")));
        assert_eq!(
            path("sqlite:///var/dev.db?mode=ro"),
            Some(PathBuf::from("/var/dev.db"))
        );
        assert_eq!(
            path("data/dev.sqlite3"),
            Some(PathBuf::from("data/dev.sqlite3"))
        );
        assert_eq!(path("postgres://host/db"), None);
    }
}
