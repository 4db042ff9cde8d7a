//! Copies rows from SQLite to PostgreSQL by binary `COPY`, and reads them back to verify that they are the same.
//!
//! Everything is one transaction, which is rolled back if a row differs.

use std::hash::Hasher as _;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use siphasher::sip::SipHasher13;

use crate::copy::mapping::{Mapping, TableCopy};
use crate::copy::sqlite::Database;
use crate::error::{fail, refuse};
use crate::event::{Event, Unit, Watch};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::Sql;

/// Bytes sent at once.
const PIECE: usize = 1 << 16;

/// The header of binary COPY data: signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A hash of a set of rows, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    fn add(&mut self, hasher: &SipHasher13) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CopiedTable {
    pub table: String,
    pub rows: u64,
    /// The sum of the hashes of its rows, the same on both sides.
    pub hash: String,
}

/// Copies all tables, or nothing.
pub async fn copy_rows(
    database: &Database,
    session: &Session,
    schema: &str,
    mapping: &Mapping,
    watch: Watch<'_>,
) -> Result<Vec<CopiedTable>> {
    session
        .run(&Sql::new("BEGIN; SET CONSTRAINTS ALL DEFERRED"))
        .await?;
    match copy_tables(database, session, schema, mapping, watch).await {
        Ok(moved) => {
            session
                .run(&Sql::new("COMMIT"))
                .await
                .context("committing the rows")?;
            Ok(moved)
        }
        Err(error) => {
            // Report the first error; a closed connection is rolled back by the server.
            let _ = session.run(&Sql::new("ROLLBACK")).await;
            Err(error)
        }
    }
}

async fn copy_tables(
    database: &Database,
    session: &Session,
    schema: &str,
    mapping: &Mapping,
    watch: Watch<'_>,
) -> Result<Vec<CopiedTable>> {
    for table in &mapping.moves {
        empty(session, &ObjectName::new(schema, &table.to)).await?;
    }
    let total: i64 = mapping.moves.iter().map(|table| table.rows).sum();
    watch(Event::Began {
        task: "copying rows",
        total: u64::try_from(total).ok(),
        unit: Unit::Items,
    });
    let mut done = 0;
    let mut sent = Vec::new();
    for table in &mapping.moves {
        let told = |rows: u64| {
            watch(Event::Advanced {
                done: done + rows,
                note: &table.to,
            });
        };
        let digest = send(database, session, schema, table, &told).await?;
        done += digest.rows;
        sent.push(digest);
    }
    watch(Event::Ended);
    let mut moved = Vec::new();
    for (table, sent) in mapping.moves.iter().zip(sent) {
        let arrived = read_back(session, schema, table).await?;
        if arrived != sent {
            return Err(rows_differ(table, sent, arrived));
        }
        sequences(session, schema, table).await?;
        moved.push(CopiedTable {
            table: table.to.clone(),
            rows: sent.rows,
            hash: format!("{:016x}", sent.sum),
        });
    }
    Ok(moved)
}

/// Fails if a table contains rows, and locks it against writes.
async fn empty(session: &Session, name: &ObjectName) -> Result<()> {
    session
        .run(&Sql::fill(
            "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
            &[name],
        ))
        .await
        .with_context(|| format!("locking {name}"))?;
    let ask = Sql::fill("SELECT EXISTS (SELECT FROM {})", &[name]);
    let rows = session.query_sql(&ask, &[]).await?;
    if rows.first().is_some_and(|row| row.get(0)) {
        return Err(
            refuse(format!("{name} already contains rows; nothing was copied"))
                .hint("empty the table, or select other tables with --table")
                .into(),
        );
    }
    Ok(())
}

fn columns(table: &TableCopy) -> Sql {
    Sql::join(table.pairs.iter().map(|pair| Ident::new(&pair.to)), ", ")
}

/// Sends a table's rows and returns their hash.
async fn send(
    database: &Database,
    session: &Session,
    schema: &str,
    table: &TableCopy,
    told: &dyn Fn(u64),
) -> Result<Digest> {
    let name = ObjectName::new(schema, &table.to);
    let copy = Sql::fill(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        &[&name, &columns(table)],
    );
    let from: Vec<String> = table.pairs.iter().map(|pair| pair.from.clone()).collect();
    let mut statement = database.rows(&table.from, &from)?;
    let mut rows = statement.query([])?;
    let mut sink = std::pin::pin!(session.copy_in(&copy).await?);
    let count = i16::try_from(table.pairs.len()).context("a table has at most 1600 columns")?;
    let mut buffer = Vec::with_capacity(2 * PIECE);
    buffer.extend(HEADER);
    let mut digest = Digest::default();
    let refused = |error: tokio_postgres::Error| {
        let error = ServerError::from(error);
        anyhow::Error::from(error).context(format!("writing into {name}; nothing was copied"))
    };
    while let Some(row) = rows
        .next()
        .with_context(|| format!("reading {}", table.from))?
    {
        buffer.extend(count.to_be_bytes());
        let mut hasher = SipHasher13::new();
        for (at, pair) in table.pairs.iter().enumerate() {
            let value = row.get_ref(at)?;
            let start = buffer.len();
            buffer.extend((-1_i32).to_be_bytes());
            if value == rusqlite::types::ValueRef::Null {
                hasher.write_u8(0);
                continue;
            }
            let begin = buffer.len();
            if pair.form.encode(value, &mut buffer).is_err() {
                return Err(value_does_not_fit(table, pair, value, digest.rows));
            }
            let length = i32::try_from(buffer.len() - begin).context("a value is below 2 GB")?;
            buffer[start..begin].copy_from_slice(&length.to_be_bytes());
            hash(&mut hasher, &pair.form.same(&buffer[begin..]));
        }
        digest.add(&hasher);
        if buffer.len() >= PIECE {
            let full = std::mem::replace(&mut buffer, Vec::with_capacity(2 * PIECE));
            sink.send(Bytes::from(full)).await.map_err(refused)?;
            told(digest.rows);
        }
    }
    buffer.extend((-1_i16).to_be_bytes());
    sink.send(Bytes::from(buffer)).await.map_err(refused)?;
    sink.finish().await.map_err(refused)?;
    Ok(digest)
}

fn hash(hasher: &mut SipHasher13, bytes: &[u8]) {
    hasher.write_u8(1);
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

fn value_does_not_fit(
    table: &TableCopy,
    pair: &crate::copy::mapping::ColumnCopy,
    value: rusqlite::types::ValueRef<'_>,
    before: u64,
) -> anyhow::Error {
    use rusqlite::types::ValueRef;
    let shown = match value {
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let head: String = text.chars().take(40).collect();
            format!("the text {head:?}")
        }
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
        ValueRef::Integer(number) => format!("the number {number}"),
        ValueRef::Real(number) => format!("the number {number}"),
        ValueRef::Null => "null".to_owned(),
    };
    let row = before + 1;
    fail(format!(
        "row {row} of {}: {shown} in column `{}` is not a valid {}; nothing was copied",
        table.from, pair.from, pair.shown
    ))
    .hint("fix the value in SQLite, or change the column's type in PostgreSQL")
    .into()
}

/// Reads a table's rows and returns their hash.
async fn read_back(session: &Session, schema: &str, table: &TableCopy) -> Result<Digest> {
    let name = ObjectName::new(schema, &table.to);
    let copy = Sql::fill(
        "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)",
        &[&columns(table), &name],
    );
    let mut stream = std::pin::pin!(session.copy_out(&copy).await?);
    let mut digest = Digest::default();
    let mut header = HEADER.len();
    while let Some(piece) = stream.next().await {
        let piece = piece
            .map_err(ServerError::from)
            .with_context(|| format!("reading {name} back"))?;
        // The header may come with the first row or before it.
        let skip = header.min(piece.len());
        header -= skip;
        rows(&piece[skip..], table, &mut digest).with_context(|| format!("reading {name} back"))?;
    }
    Ok(digest)
}

/// Hashes the rows of a chunk; the server sends whole rows.
fn rows(mut bytes: &[u8], table: &TableCopy, digest: &mut Digest) -> Result<()> {
    let short = "the server sent half a row";
    while !bytes.is_empty() {
        let (count, rest) = bytes.split_first_chunk::<2>().context(short)?;
        bytes = rest;
        if i16::from_be_bytes(*count) < 0 {
            break;
        }
        let mut hasher = SipHasher13::new();
        for pair in &table.pairs {
            let (length, rest) = bytes.split_first_chunk::<4>().context(short)?;
            bytes = rest;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                hasher.write_u8(0);
                continue;
            };
            let (value, rest) = bytes.split_at_checked(length).context(short)?;
            bytes = rest;
            hash(&mut hasher, &pair.form.same(value));
        }
        digest.add(&hasher);
    }
    Ok(())
}

fn rows_differ(table: &TableCopy, sent: Digest, arrived: Digest) -> anyhow::Error {
    let message = if sent.rows == arrived.rows {
        format!(
            "the rows of {} differ from SQLite after the copy; nothing was copied",
            table.to
        )
    } else {
        format!(
            "{} has {} rows, but {} were sent; nothing was copied",
            table.to, arrived.rows, sent.rows
        )
    };
    fail(message)
        .hint("check triggers, rules, policies and types that round, such as numeric(12,2)")
        .into()
}

/// Sets the sequences of a table to the largest copied values.
async fn sequences(session: &Session, schema: &str, table: &TableCopy) -> Result<()> {
    let name = ObjectName::new(schema, &table.to);
    for pair in &table.pairs {
        let Some(sequence) = &pair.sequence else {
            continue;
        };
        let column = Ident::new(&pair.to);
        let set = Sql::fill(
            "SELECT pg_catalog.setval({}, pg_catalog.max({})) FROM {} HAVING pg_catalog.max({}) IS NOT NULL",
            &[&Literal::new(sequence), &column, &name, &column],
        );
        session
            .run(&set)
            .await
            .with_context(|| format!("setting the sequence {sequence}"))?;
    }
    Ok(())
}
