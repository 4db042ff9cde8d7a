//! Refinery's history table: reading it for both version widths, and the statements that change it.
//!
//! The table stays exactly as refinery writes it; additional data is in `journal`.

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::migrate::checksum::Width;
use crate::pg::session::Session;
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    pub version: i64,
    pub name: String,
    /// When it was applied, as stored: RFC 3339.
    pub applied_on: String,
    /// Refinery's checksum as stored: a decimal number.
    pub checksum: String,
}

/// What exists under the name of the history table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryTable {
    /// Nothing.
    Missing,
    /// Refinery's table, in this width.
    Present(Width),
    /// A table of the same name that is not refinery's.
    Foreign,
}

/// The comment of a history table with a journal: it distinguishes a lost journal from one that never existed.
const MARK: &str = "af-db keeps a journal of this history in af_db.journal";

/// Whether the history table is marked as journalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMark {
    /// It does.
    Present,
    /// It does not yet, and can be made to.
    Absent,
    /// It does not, and has a comment of its own or belongs to a role that is not ours.
    Impossible,
}

/// The history of a database.
#[derive(Clone, Debug)]
pub struct History {
    /// Where it is.
    pub name: ObjectName,
    /// What exists under that name.
    pub table: HistoryTable,
    /// Whether the journal exists.
    pub has_journal: bool,
    /// Whether it is marked as journalled.
    pub mark: JournalMark,
    /// Its rows, by version.
    pub rows: Vec<HistoryRow>,
}

/// Looks up the history table and the journal, in one round trip.
pub async fn find(session: &Session, name: &ObjectName) -> Result<History> {
    let shown = name.to_string();
    let row = session
        .query_one(
            include_str!("queries/ledger.sql"),
            &[(&shown, Type::TEXT), (&MARK, Type::TEXT)],
        )
        .await?;
    let mark = match (row.get("is_marked"), row.get("can_be_marked")) {
        (true, _) => JournalMark::Present,
        (false, true) => JournalMark::Absent,
        (false, false) => JournalMark::Impossible,
    };
    let columns: Option<String> = row.get("history_columns");
    let exists: bool = row.get("history_exists");
    let table = if exists {
        kind(columns.as_deref().unwrap_or_default())
    } else {
        HistoryTable::Missing
    };
    Ok(History {
        name: name.clone(),
        table,
        has_journal: row.get("journal_exists"),
        mark,
        rows: Vec::new(),
    })
}

fn kind(columns: &str) -> HistoryTable {
    const TEXTS: &str =
        ",name character varying,applied_on character varying,checksum character varying";
    match columns.strip_suffix(TEXTS) {
        Some("version integer") => HistoryTable::Present(Width::Int4),
        Some("version bigint") => HistoryTable::Present(Width::Int8),
        _ => HistoryTable::Foreign,
    }
}

impl History {
    /// Reads the rows, in one round trip; none where there is no table of refinery's.
    pub async fn read(&mut self, session: &Session) -> Result<()> {
        if !matches!(self.table, HistoryTable::Present(_)) {
            return Ok(());
        }
        let sql = Sql::fill(
            "SELECT version::pg_catalog.int8, COALESCE(name, ''), COALESCE(applied_on, ''), COALESCE(checksum, '') FROM {} ORDER BY 1",
            &[&self.name],
        );
        let rows = session.query_sql(&sql, &[]).await?;
        let read = |row: &tokio_postgres::Row| HistoryRow {
            version: row.get(0),
            name: row.get(1),
            applied_on: row.get(2),
            checksum: row.get(3),
        };
        self.rows = rows.iter().map(read).collect();
        Ok(())
    }

    pub fn row(&self, version: i64) -> Option<&HistoryRow> {
        let at = self
            .rows
            .binary_search_by_key(&version, |row| row.version)
            .ok()?;
        Some(&self.rows[at])
    }

    /// Returns the width that checksums are computed in; `fresh` where there is no table yet.
    pub fn width(&self, fresh: Width) -> Width {
        match self.table {
            HistoryTable::Present(width) => width,
            HistoryTable::Missing | HistoryTable::Foreign => fresh,
        }
    }
}

/// Creates the history table as refinery would.
pub fn create(name: &ObjectName, width: Width) -> Sql {
    let version = match width {
        Width::Int4 => Sql::new("int4"),
        Width::Int8 => Sql::new("int8"),
    };
    Sql::fill(
        "CREATE TABLE IF NOT EXISTS {}(
             version {} PRIMARY KEY,
             name VARCHAR(255),
             applied_on VARCHAR(255),
             checksum VARCHAR(255))",
        &[name, &version],
    )
}

/// Marks the history table as journalled; gives up soon if the table is locked.
pub fn mark(name: &ObjectName) -> Sql {
    Sql::fill(
        "BEGIN;\nSET LOCAL lock_timeout = '2s';\nCOMMENT ON TABLE {} IS {};\nCOMMIT",
        &[name, &Literal::new(MARK)],
    )
}

/// Adds a row, with the time of the adding in refinery's format.
pub fn insert(name: &ObjectName, row: &HistoryRow) -> Sql {
    Sql::fill(
        "INSERT INTO {} (version, name, applied_on, checksum) VALUES ({}, {}, {}, {})",
        &[
            name,
            &row.version,
            &Literal::new(&row.name),
            &Literal::new(&row.applied_on),
            &Literal::new(&row.checksum),
        ],
    )
}

/// Asks whether a row of this version and checksum is there, regardless of who added it.
pub fn is_present(name: &ObjectName, row: &HistoryRow) -> Sql {
    Sql::fill(
        "SELECT EXISTS (SELECT FROM {} WHERE version OPERATOR(pg_catalog.=) {} AND checksum OPERATOR(pg_catalog.=) {})",
        &[name, &row.version, &Literal::new(&row.checksum)],
    )
}

/// Removes a row.
pub fn delete(name: &ObjectName, version: i64) -> Sql {
    Sql::fill(
        "DELETE FROM {} WHERE version OPERATOR(pg_catalog.=) {}",
        &[name, &version],
    )
}

/// Makes the row of a version what its file is now; the time of applying stays if it can be read.
pub fn set_row(name: &ObjectName, row: &HistoryRow, checksum: u64) -> Sql {
    let readable = Literal::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$");
    Sql::fill(
        "UPDATE {} SET name = {}, checksum = {}, applied_on = CASE WHEN applied_on OPERATOR(pg_catalog.~) {} \
         THEN applied_on ELSE {} END WHERE version OPERATOR(pg_catalog.=) {}",
        &[
            name,
            &Literal::new(&row.name),
            &Literal::new(checksum.to_string()),
            &readable,
            &Literal::new(&row.applied_on),
            &row.version,
        ],
    )
}

/// Keeps services that know nothing of our lock out until the transaction ends.
///
/// Never held across a statement that runs outside a transaction: a service that waits for it keeps a snapshot, and
/// `CREATE INDEX CONCURRENTLY` would wait for that.
pub fn lock(name: &ObjectName) -> Sql {
    Sql::fill("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", &[name])
}

/// Returns the condition that the session still has that lock.
pub fn is_locked(name: &ObjectName) -> Sql {
    Sql::fill(
        "EXISTS (SELECT FROM pg_catalog.pg_locks AS held WHERE held.granted AND held.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
         AND held.relation OPERATOR(pg_catalog.=) pg_catalog.to_regclass({})::pg_catalog.oid \
         AND held.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock')",
        &[&Literal::new(name.to_string())],
    )
}

/// Returns the present time as refinery writes it.
pub fn now() -> String {
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::now_utc()
        .format(format)
        .expect("every time of this era has an RFC 3339 form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_width_is_derived_from_the_columns() {
        let texts =
            "name character varying,applied_on character varying,checksum character varying";
        let check = |columns: &str, expected: HistoryTable| assert_eq!(kind(columns), expected);
        check(
            &format!("version integer,{texts}"),
            HistoryTable::Present(Width::Int4),
        );
        check(
            &format!("version bigint,{texts}"),
            HistoryTable::Present(Width::Int8),
        );
        check(&format!("version text,{texts}"), HistoryTable::Foreign);
        check("id integer", HistoryTable::Foreign);
    }
}
