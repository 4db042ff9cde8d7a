//! Owns comparing what a database holds with a proof: rows, sequences, large objects.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use tokio_postgres::types::Type;

use crate::backup::proof::{Proof, SequenceProof, SumProof, TableProof};
use crate::backup::tap::{ObjectHasher, RowHasher, Sum};
use crate::event::{Event, Unit, Watch, silent};
use crate::finding::Finding;
use crate::pg::connect;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

/// How many sessions read rows at once; more than two gain nothing while the server still settles.
const READERS: usize = 2;

/// Compares every row, sequence and large object.
pub async fn compare(target: &Target, proof: &Proof, watch: Watch<'_>) -> Result<Vec<Finding>> {
    let mut findings = rows(target, proof, watch).await?;
    findings.extend(others(target, proof).await?);
    Ok(findings)
}

/// Compares every sequence and large object.
pub async fn others(target: &Target, proof: &Proof) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let session = reader(target, proof).await?;
    findings.extend(compare_sequences(
        &proof.sequences,
        &sequences(&session, &proof.sequences).await?,
    ));
    let found: SumProof = large_objects(&session).await?.0.into();
    if found != proof.large_objects {
        findings.push(Finding::error(
            "proof-large-objects",
            "large objects",
            format!(
                "{} of {} large objects are there, or their content differs",
                found.rows, proof.large_objects.rows
            ),
        ));
    }
    session.close().await;
    Ok(findings)
}

/// Opens a session that prints values exactly as the source did for `pg_dump`.
async fn reader(target: &Target, proof: &Proof) -> Result<Session> {
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

/// Compares every row.
pub async fn rows(target: &Target, proof: &Proof, watch: Watch<'_>) -> Result<Vec<Finding>> {
    let total = proof.tables.iter().map(|table| table.sum.bytes).sum();
    watch(Event::Began {
        task: "proving rows",
        total: Some(total),
        unit: Unit::Bytes,
    });
    // The biggest first, so that the readers end at about the same time.
    let mut queue: Vec<&TableProof> = proof.tables.iter().collect();
    queue.sort_by_key(|table| std::cmp::Reverse(table.sum.bytes));
    let next = std::cell::RefCell::new(queue.into_iter());
    let done = std::cell::Cell::new(0);
    let findings = std::cell::RefCell::new(Vec::new());
    let read = || async {
        let session = reader(target, proof).await?;
        let filters = filters(&session).await?;
        loop {
            let Some(table) = next.borrow_mut().next() else {
                break;
            };
            let found = sum(&session, table, &filters).await;
            findings.borrow_mut().extend(judge(table, found)?);
            done.set(done.get() + table.sum.bytes);
            watch(Event::Advanced {
                done: done.get(),
                note: &table.name,
            });
        }
        session.close().await;
        anyhow::Ok(())
    };
    let readers: [_; READERS] = std::array::from_fn(|_| read());
    futures_util::future::try_join_all(readers).await?;
    watch(Event::Ended);
    let mut findings = findings.into_inner();
    findings.sort_by(|left: &Finding, right| left.subject.cmp(&right.subject));
    Ok(findings)
}

fn judge(table: &TableProof, found: Result<Sum>) -> Result<Option<Finding>> {
    let subject = ObjectName::new(&table.schema, &table.name).to_string();
    let found: SumProof = match found {
        Ok(sum) => sum.into(),
        Err(error) => {
            let server = error.downcast_ref::<crate::pg::server_error::ServerError>();
            // A table or column that is not there is a difference; a lost connection is not.
            return match server.and_then(|server| server.sqlstate.as_deref()) {
                Some("42P01" | "3F000" | "42703" | "42501") => Ok(Some(Finding::error(
                    "proof-table",
                    subject,
                    format!("its rows cannot be read: {error}"),
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
            format!(
                "it has {} rows, the archive has {}",
                found.rows, table.sum.rows
            ),
        )
    } else {
        Finding::error(
            "proof-values",
            subject,
            format!(
                "its {} rows differ from the archive's in at least one value",
                found.rows
            ),
        )
    }))
}

/// Gives the conditions under which `pg_dump` leaves rows of extensions' tables out.
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

/// Sums up the rows of a table as `pg_dump` would copy them.
async fn sum(
    session: &Session,
    table: &TableProof,
    filters: &BTreeMap<(String, String), String>,
) -> Result<Sum> {
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

/// Reads the position of each sequence; one that is not there is absent.
async fn sequences(session: &Session, expected: &[SequenceProof]) -> Result<Vec<SequenceProof>> {
    let there = session
        .query(include_str!("../queries/sequences.sql"), &[])
        .await
        .context("listing the sequences")?;
    let there: Vec<(String, String)> = there
        .iter()
        .map(|row| (row.get("schema"), row.get("name")))
        .collect();
    let wanted: Vec<&SequenceProof> = expected
        .iter()
        .filter(|one| {
            there
                .binary_search(&(one.schema.clone(), one.name.clone()))
                .is_ok()
        })
        .collect();
    let mut found = Vec::new();
    for batch in wanted.chunks(200) {
        let each = batch.iter().map(|one| {
            Sql::fill(
                "SELECT {} AS schema, {} AS name, last_value, is_called FROM {}",
                &[
                    &Literal::new(&one.schema),
                    &Literal::new(&one.name),
                    &ObjectName::new(&one.schema, &one.name),
                ],
            )
        });
        let rows = session
            .query_sql(&Sql::join(each, " UNION ALL "), &[])
            .await
            .context("reading the sequences")?;
        found.extend(rows.iter().map(|row| SequenceProof {
            schema: row.get(0),
            name: row.get(1),
            last: row.get(2),
            called: row.get(3),
        }));
    }
    Ok(found)
}

fn compare_sequences(expected: &[SequenceProof], found: &[SequenceProof]) -> Vec<Finding> {
    let position = |one: &SequenceProof| if one.called { one.last } else { one.last - 1 };
    let mut findings = Vec::new();
    for one in expected {
        let subject = ObjectName::new(&one.schema, &one.name).to_string();
        match found
            .iter()
            .find(|other| other.schema == one.schema && other.name == one.name)
        {
            None => findings.push(Finding::error(
                "proof-sequence",
                subject,
                "the sequence is missing",
            )),
            Some(other) if other != one => {
                let word = if position(other) < position(one) {
                    "behind"
                } else {
                    "ahead"
                };
                findings.push(Finding::error(
                    "proof-sequence",
                    subject,
                    format!(
                        "the sequence is {word}: it is at {}, the archive at {}",
                        other.last, one.last
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Sums up all large objects and gives each one's hash.
pub async fn large_objects(session: &Session) -> Result<(Sum, BTreeMap<u32, u128>)> {
    const PIECE: i32 = 1 << 20;
    let mut total = Sum::default();
    let mut hashes = BTreeMap::new();
    let mut last: u32 = 0;
    loop {
        let rows = session
            .query(
                "SELECT m.oid, pg_catalog.lo_get(m.oid, 0, $2) FROM pg_catalog.pg_largeobject_metadata AS m \
                 WHERE m.oid > $1 ORDER BY m.oid LIMIT 16",
                &[(&last, Type::OID), (&PIECE, Type::INT4)],
            )
            .await
            .context("reading the large objects")?;
        for row in &rows {
            let oid: u32 = row.get(0);
            let mut hasher = ObjectHasher::new(oid);
            let mut piece: Vec<u8> = row.get(1);
            hasher.feed(&piece);
            while piece.len() == PIECE as usize {
                let offset = i64::try_from(hasher.bytes).context("reading a large object")?;
                let more = session
                    .query_one(
                        "SELECT pg_catalog.lo_get($1, $2, $3)",
                        &[
                            (&oid, Type::OID),
                            (&offset, Type::INT8),
                            (&PIECE, Type::INT4),
                        ],
                    )
                    .await?;
                piece = more.get(0);
                hasher.feed(&piece);
            }
            let hash = hasher.finish();
            total.rows += 1;
            total.bytes += hasher.bytes;
            total.hash = total.hash.wrapping_add(hash);
            hashes.insert(oid, hash);
            last = oid;
        }
        if rows.len() < 16 {
            return Ok((total, hashes));
        }
    }
}
