//! Owns reading a SQLite database: its tables and, one after the other, their rows.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OpenFlags};

use crate::error::fail;

/// A column of a SQLite table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type it was declared with, as written; SQLite itself stores any value in any column.
    pub declared: String,
    /// Whether it refuses null.
    pub not_null: bool,
    /// Its place in the primary key, from 1; 0 where it is no part of it.
    pub key: i64,
}

/// A table of a SQLite database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// How many rows it has.
    pub rows: i64,
}

/// A SQLite database, opened for reading.
pub struct Database {
    connection: Connection,
}

/// Understands `sqlite://dev.db`, `sqlite:dev.db`, and a file.
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

/// Opens a database; it must be there, and is never written.
pub fn open(path: &Path) -> Result<Database> {
    let shown = path.display();
    if !path.is_file() {
        return Err(fail(format!("there is no SQLite database `{shown}`"))
            .hint("name its file: af-db copy sqlite://dev.db")
            .into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).with_context(|| format!("opening {shown}"))?;
    // One snapshot for everything that is read, whoever writes meanwhile.
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
