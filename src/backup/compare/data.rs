//! Compares the contents of a database with the expected: sequences, large objects, and rows with [`rows`].

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio_postgres::types::Type;

use crate::compare::rows::{self, reader};
use crate::dump_inspector::{ObjectHasher, RowSum};
use crate::event::Watch;
use crate::finding::Finding;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::proof::{Proof, SequenceProof, SumProof};
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

/// Parallel readers; more than two gain nothing while the server is still writing out the restore.
const READERS: usize = 2;

/// Compares every row, sequence and large object.
pub async fn compare(target: &Target, proof: &Proof, watch: Watch<'_>) -> Result<Vec<Finding>> {
    let (arriving, loaded) = rows::loaded_tables(&proof.tables);
    drop(arriving);
    let mut findings = rows::rows(target, proof, loaded, READERS, watch).await?;
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
                "{} of {} large objects found, or their content differs",
                found.rows, proof.large_objects.rows
            ),
        ));
    }
    session.close().await;
    Ok(findings)
}

/// Reads the position of each sequence; missing sequences are absent.
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
                "sequence is missing",
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
                        "sequence is {word}: at {}, in the backup at {}",
                        other.last, one.last
                    ),
                ));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Hashes each large object and all of them together.
pub async fn large_objects(session: &Session) -> Result<(RowSum, BTreeMap<u32, u128>)> {
    const PIECE: i32 = 1 << 20;
    let mut total = RowSum::default();
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
