//! Compares the rows of a database with the expected ones, each table as soon as it is loaded.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::dump_inspector::{RowHasher, RowSum};
use crate::event::{Event, Unit, Watch, silent};
use crate::finding::Finding;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::proof::{Proof, SumProof, TableProof};
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

/// Reports which tables are loaded; dropping it reports all of them.
pub struct LoadedTablesSender<'a> {
    missing: RefCell<BTreeMap<(String, String), &'a TableProof>>,
    sender: UnboundedSender<&'a TableProof>,
}

pub type LoadedTables<'a> = UnboundedReceiver<&'a TableProof>;

/// Creates the channel through which loaded tables are reported.
pub fn loaded_tables(tables: &[TableProof]) -> (LoadedTablesSender<'_>, LoadedTables<'_>) {
    let (sender, there) = unbounded_channel();
    let missing = tables
        .iter()
        .map(|table| ((table.schema.clone(), table.name.clone()), table));
    let arriving = LoadedTablesSender {
        missing: RefCell::new(missing.collect()),
        sender,
    };
    (arriving, there)
}

impl LoadedTablesSender<'_> {
    /// Reports one table as loaded.
    pub fn table(&self, schema: &str, name: &str) {
        let name = (schema.to_owned(), name.to_owned());
        if let Some(table) = self.missing.borrow_mut().remove(&name) {
            // The receiver ends early only on a failure, which it reports itself.
            let _ = self.sender.send(table);
        }
    }

    /// Reports all remaining tables as loaded.
    pub fn rest(&self) {
        let mut rest: Vec<&TableProof> = self.missing.take().into_values().collect();
        // Largest first, so that the readers end at about the same time.
        rest.sort_by_key(|table| std::cmp::Reverse(table.sum.bytes));
        for table in rest {
            let _ = self.sender.send(table);
        }
    }
}

impl Drop for LoadedTablesSender<'_> {
    fn drop(&mut self) {
        self.rest();
    }
}

/// Compares every row over `readers` connections.
pub async fn rows(
    target: &Target,
    proof: &Proof,
    loaded: LoadedTables<'_>,
    readers: usize,
    watch: Watch<'_>,
) -> Result<Vec<Finding>> {
    let total = proof.tables.iter().map(|table| table.sum.bytes).sum();
    watch(Event::Began {
        task: "verifying rows",
        total: Some(total),
        unit: Unit::Bytes,
    });
    let loaded = Mutex::new(loaded);
    let done = std::cell::Cell::new(0);
    let findings = RefCell::new(Vec::new());
    let read = || async {
        let session = reader(target, proof).await?;
        let filters = filters(&session).await?;
        loop {
            let Some(table) = loaded.lock().await.recv().await else {
                break;
            };
            let found = sum(&session, table, &filters).await;
            findings.borrow_mut().extend(difference(table, found)?);
            done.set(done.get() + table.sum.bytes);
            watch(Event::Advanced {
                done: done.get(),
                note: &table.name,
            });
        }
        session.close().await;
        anyhow::Ok(())
    };
    futures_util::future::try_join_all((0..readers).map(|_| read())).await?;
    watch(Event::Ended);
    let mut findings = findings.into_inner();
    findings.sort_by(|left: &Finding, right| left.subject.cmp(&right.subject));
    Ok(findings)
}

/// Opens a session that prints values exactly as the source did for `pg_dump`.
pub(super) async fn reader(target: &Target, proof: &Proof) -> Result<Session> {
    let session = connect::open(target, &silent).await?;
    let rendering = &proof.rendering;
    let sql = Sql::fill(
        "SELECT pg_catalog.set_config('search_path', '', false); \
         SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off; \
         SET DateStyle = ISO; SET IntervalStyle = postgres; SET extra_float_digits = 3; SET TimeZone = 'UTC'; \
         SET bytea_output = {}; SET xmlbinary = {}; SET lc_monetary = {}; SET client_encoding = {}",
        &[
            &Literal::new(&rendering.bytea_output),
            &Literal::new(&rendering.xmlbinary),
            &Literal::new(&rendering.lc_monetary),
            &Literal::new(&proof.encoding),
        ],
    );
    session
        .run(&sql)
        .await
        .context("preparing to read the restored rows")?;
    Ok(session)
}

fn difference(table: &TableProof, found: Result<RowSum>) -> Result<Option<Finding>> {
    let subject = ObjectName::new(&table.schema, &table.name).to_string();
    let found: SumProof = match found {
        Ok(sum) => sum.into(),
        Err(error) => {
            let server = error.downcast_ref::<crate::pg::server_error::ServerError>();
            // A missing table or column is a difference; a lost connection is not.
            return match server.and_then(|server| server.sqlstate.as_deref()) {
                Some("42P01" | "3F000" | "42703" | "42501") => Ok(Some(Finding::error(
                    "proof-table",
                    subject,
                    format!("cannot read rows: {error}"),
                ))),
                _ => Err(error.context(format!("reading the rows of {subject}"))),
            };
        }
    };
    if found == table.sum {
        return Ok(None);
    }
    Ok(Some(if found.rows != table.sum.rows {
        Finding::error(
            "proof-rows",
            subject,
            format!("{} rows, the backup has {}", found.rows, table.sum.rows),
        )
    } else {
        Finding::error(
            "proof-values",
            subject,
            format!(
                "{} rows, with at least one value that differs from the backup",
                found.rows
            ),
        )
    }))
}

/// Returns the conditions under which `pg_dump` omits rows of extension tables.
async fn filters(session: &Session) -> Result<BTreeMap<(String, String), String>> {
    let rows = session
        .query(include_str!("../queries/extension_filters.sql"), &[])
        .await
        .context("asking for the tables of extensions")?;
    Ok(rows
        .iter()
        .map(|row| ((row.get("schema"), row.get("name")), row.get("condition")))
        .collect())
}

/// Hashes the rows of a table as `pg_dump` would copy them.
async fn sum(
    session: &Session,
    table: &TableProof,
    filters: &BTreeMap<(String, String), String>,
) -> Result<RowSum> {
    let name = ObjectName::new(&table.schema, &table.name);
    let columns = Sql::printed_by_server(&table.columns);
    let key = (table.schema.clone(), table.name.clone());
    let copy = match filters.get(&key) {
        None => Sql::fill("COPY {} {} TO STDOUT", &[&name, &columns]),
        Some(condition) => {
            let inside = table.columns.trim_start_matches('(').trim_end_matches(')');
            Sql::fill(
                "COPY (SELECT {} FROM ONLY {} {}) TO STDOUT",
                &[
                    &Sql::printed_by_server(inside),
                    &name,
                    &Sql::printed_by_server(condition),
                ],
            )
        }
    };
    let mut hasher = RowHasher::default();
    let mut stream = std::pin::pin!(session.copy_out(&copy).await?);
    while let Some(bytes) = stream
        .try_next()
        .await
        .map_err(crate::pg::server_error::ServerError::from)?
    {
        hasher.feed(&bytes);
    }
    Ok(hasher.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str, bytes: u64) -> TableProof {
        let sum = RowSum {
            bytes,
            ..RowSum::default()
        };
        TableProof {
            schema: schema.to_owned(),
            name: name.to_owned(),
            columns: String::new(),
            sum: sum.into(),
        }
    }

    #[test]
    fn every_table_is_read_once_when_it_is_loaded() {
        let tables = [
            table("a", "small", 1),
            table("a", "x", 2),
            table("b", "x", 3),
            table("b", "big", 9),
        ];
        let (arriving, mut there) = loaded_tables(&tables);
        assert!(there.try_recv().is_err(), "nothing is there yet");
        arriving.table("b", "x");
        arriving.table("b", "x");
        arriving.table("b", "unknown");
        let mut come = Vec::new();
        while let Ok(table) = there.try_recv() {
            come.push(format!("{}.{}", table.schema, table.name));
        }
        assert_eq!(come, ["b.x"]);
        drop(arriving);
        while let Ok(table) = there.try_recv() {
            come.push(format!("{}.{}", table.schema, table.name));
        }
        assert_eq!(come, ["b.x", "b.big", "a.x", "a.small"]);
        assert!(there.is_closed());
    }
}
