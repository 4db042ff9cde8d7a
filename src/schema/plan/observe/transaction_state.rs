//! Reads which relations a transaction has locked, and their state.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use futures_util::future::{join, join4, try_join_all};
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Statement};

use crate::pg::session::Session;
use crate::plan::observe::RelationKind;
use crate::plan::observe::lock::LockMode;

/// The questions of every look, which the session has prepared.
pub(super) struct StateReader {
    look: Statement,
    counters: Statement,
    logged: Statement,
    newest: Statement,
    /// The table of what the event triggers write down.
    pub(super) log: u32,
}

/// What is known before a query, so that only possible changes are returned.
#[derive(Clone, Copy)]
pub(super) struct StateFilter<'a> {
    /// The newest relation that was there before the plan.
    pub(super) last_before: u32,
    /// Only indexes newer than this OID are returned.
    pub(super) newest: u32,
    /// What is newer than the plan and looked at all the same.
    pub(super) kept: &'a Vec<u32>,
    /// How often the transaction had changed `pg_class`.
    pub(super) changed: i64,
}

/// The catalog of relations, whose own changes are counted.
pub(super) const PG_CLASS: u32 = 1259;

const NEWEST: &str = "SELECT pg_catalog.max(oid) FROM pg_catalog.pg_class";

impl StateReader {
    /// Has the session read the questions, and ask them until it has settled on a plan for each.
    pub(super) async fn prepare(session: &Session) -> Result<StateReader> {
        // The server plans a question again the first five times, which takes longer than the rest.
        const PLANNED_ANEW: usize = 5;
        let types = [Type::OID, Type::OID, Type::OID_ARRAY, Type::INT8];
        let (look, counters, logged, newest) = join4(
            session.prepare(include_str!("queries/probe.sql"), &types),
            session.prepare(include_str!("queries/counters.sql"), &types[2..3]),
            session.prepare(include_str!("queries/log.sql"), &[]),
            session.prepare(NEWEST, &[]),
        )
        .await;
        let log = session
            .query_one(
                "SELECT 'af_db_observer.log'::pg_catalog.regclass::pg_catalog.oid",
                &[],
            )
            .await?
            .try_get(0)?;
        let asker = StateReader {
            look: look?,
            counters: counters?,
            logged: logged?,
            newest: newest?,
            log,
        };
        let known = StateFilter {
            last_before: 0,
            newest: 0,
            kept: &Vec::new(),
            changed: -1,
        };
        let nothing = Vec::new();
        try_join_all((0..=PLANNED_ANEW).map(|_| async {
            let (look, counters) = join(
                asker.look(session, known),
                asker.counters(session, &nothing),
            )
            .await;
            look.and(counters.map(|_| ()))
        }))
        .await?;
        Ok(asker)
    }

    /// Reads what the transaction has locked.
    pub(super) async fn look(&self, session: &Session, known: StateFilter<'_>) -> Result<Vec<Row>> {
        let params = [
            (&known.last_before as _, Type::OID),
            (&known.newest as _, Type::OID),
            (known.kept as _, Type::OID_ARRAY),
            (&known.changed as _, Type::INT8),
        ];
        session.query_prepared(&self.look, &params).await
    }

    /// Takes what was logged since the last time.
    pub(super) async fn logged(&self, session: &Session) -> Result<Vec<Row>> {
        session.query_prepared(&self.logged, &[]).await
    }

    /// Reads the newest relation.
    pub(super) async fn newest(&self, session: &Session) -> Result<u32> {
        let rows = session.query_prepared(&self.newest, &[]).await?;
        let row = rows.first().context("the server has no relations")?;
        Ok(row.try_get(0)?)
    }

    /// Reads the session's relation counters that are not yet flushed to the server's statistics.
    pub(super) async fn counters(
        &self,
        session: &Session,
        relations: &Vec<u32>,
    ) -> Result<HashMap<u32, Counters>> {
        let params = [(relations as _, Type::OID_ARRAY)];
        let rows = session.query_prepared(&self.counters, &params).await?;
        let pairs = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, counters(row, 1)?)));
        pairs.collect()
    }
}

/// A session's counters of a relation that are not yet flushed to the server's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) scans: i64,
    pub(super) inserted: i64,
    pub(super) updated: i64,
    pub(super) deleted: i64,
}

impl Counters {
    pub(super) fn since(self, before: Counters) -> Counters {
        Counters {
            scans: self.scans - before.scans,
            inserted: self.inserted - before.inserted,
            updated: self.updated - before.updated,
            deleted: self.deleted - before.deleted,
        }
    }
}

/// A relation that the transaction has locked.
#[derive(Clone, Debug)]
pub(super) struct LockedRelation {
    pub(super) relation: u32,
    pub(super) mode: LockMode,
    /// Absent when it is gone, and when it was not looked up because nothing has changed.
    pub(super) now: Option<RelationState>,
    pub(super) counters: Counters,
}

#[derive(Clone, Debug)]
pub(super) struct RelationState {
    pub(super) kind: Option<RelationKind>,
    pub(super) name: String,
    pub(super) file: u32,
    pub(super) tablespace: u32,
    pub(super) table: Option<u32>,
    pub(super) row_security: bool,
    pub(super) forced: bool,
    pub(super) owner: u32,
    /// Whether it has, or had, partitions or heirs.
    pub(super) has_children: bool,
}

/// What was seen after a statement.
pub(super) struct TransactionState {
    /// What is locked.
    pub(super) seen: Vec<LockedRelation>,
    /// How often the transaction has changed `pg_class`.
    pub(super) changed: i64,
    /// How often something was logged.
    pub(super) logged: i64,
    /// When the look began: what was logged before it is of the statements before it.
    pub(super) at: SystemTime,
}

pub(super) fn parse(answer: &[Row]) -> Result<TransactionState> {
    let mut look = TransactionState {
        seen: Vec::with_capacity(answer.len()),
        changed: 0,
        logged: 0,
        at: SystemTime::UNIX_EPOCH,
    };
    for row in answer {
        match row.try_get(0)? {
            Some(relation) => look.seen.push(read(relation, row)?),
            None => {
                look.changed = row.try_get(15)?;
                look.logged = row.try_get(16)?;
                look.at = row.try_get(17)?;
            }
        }
    }
    // Of several locks the strongest counts.
    look.seen
        .sort_unstable_by_key(|seen| (seen.relation, Reverse(seen.mode)));
    look.seen.dedup_by_key(|seen| seen.relation);
    Ok(look)
}

fn read(relation: u32, row: &Row) -> Result<LockedRelation> {
    let now = match row.try_get::<_, Option<&str>>(6)? {
        None => None,
        Some(letter) => Some(RelationState {
            kind: RelationKind::from_relkind(letter),
            name: row.try_get(7)?,
            file: row.try_get(8)?,
            tablespace: row.try_get(9)?,
            row_security: row.try_get(10)?,
            forced: row.try_get(11)?,
            owner: row.try_get(12)?,
            has_children: row.try_get(13)?,
            table: row.try_get(14)?,
        }),
    };
    Ok(LockedRelation {
        relation,
        mode: LockMode::parse(row.try_get(1)?).context("unknown lock mode")?,
        now,
        counters: counters(row, 2)?,
    })
}

/// Reads four counters that stand side by side.
fn counters(row: &Row, from: usize) -> Result<Counters> {
    Ok(Counters {
        scans: row.try_get(from)?,
        inserted: row.try_get(from + 1)?,
        updated: row.try_get(from + 2)?,
        deleted: row.try_get(from + 3)?,
    })
}
