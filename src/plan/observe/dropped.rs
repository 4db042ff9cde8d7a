//! Owns what the event triggers on the shadow have logged: dropped objects, rewritten tables, changed rights.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::pg::session::Session;
use crate::plan::observe::inventory::Inventory;
use crate::plan::observe::{Dropped, Relation};

/// What was logged while one statement ran.
#[derive(Default)]
pub(super) struct Log {
    pub(super) dropped: Vec<Dropped>,
    pub(super) rewritten: BTreeSet<u32>,
    pub(super) granted: bool,
}

/// One dropped thing, as the server tells it.
struct Gone {
    kind: String,
    identity: String,
    relation: Option<u32>,
    named: bool,
}

/// Takes the log.
pub(super) async fn take(session: &Session, inventory: &Inventory) -> Result<Log> {
    let rows = session.query(include_str!("queries/log.sql"), &[]).await?;
    let mut log = Log::default();
    let mut gone = Vec::new();
    for row in rows {
        match row.try_get::<_, &str>("what")? {
            "rewritten" => {
                log.rewritten.insert(row.try_get("relation")?);
            }
            "granted" => log.granted = true,
            _ => gone.push(Gone {
                kind: row.try_get("kind")?,
                identity: row.try_get("identity")?,
                relation: row.try_get("relation")?,
                named: row.try_get("named")?,
            }),
        }
    }
    log.granted |= gone
        .iter()
        .any(|gone| matches!(gone.kind.as_str(), "policy" | "function" | "procedure"));
    log.dropped = tell(&gone, inventory);
    Ok(log)
}

/// Leaves out what is only a part of something else that is gone, and what the plan itself had made.
fn tell(gone: &[Gone], inventory: &Inventory) -> Vec<Dropped> {
    let relations: BTreeSet<&str> = gone
        .iter()
        .filter(|gone| gone.relation.is_some() && gone.kind != "table column")
        .map(|gone| gone.identity.as_str())
        .collect();
    let is_part = |gone: &Gone| {
        let of = gone.identity.rsplit_once(" on ").map(|(_, of)| of);
        let attached = of.is_some_and(|of| relations.contains(of));
        let shadowed = matches!(gone.kind.as_str(), "type" | "toast table" | "default value");
        attached || shadowed && (!gone.named || gone.kind != "type")
    };
    let mut dropped: Vec<Dropped> = gone
        .iter()
        .filter(|gone| gone.named || !is_part(gone))
        .filter(|gone| gone.kind != "index" || gone.named)
        // The triggers a foreign key works by are part of it.
        .filter(|gone| gone.named || !gone.identity.starts_with("\"RI_ConstraintTrigger_"))
        .filter(|gone| {
            gone.relation
                .is_none_or(|relation| inventory.get(relation).is_some())
        })
        .map(|gone| Dropped {
            kind: gone.kind.clone(),
            name: gone.identity.clone(),
            loses: loses(gone, inventory),
            named: gone.named,
        })
        .collect();
    dropped.sort();
    dropped.dedup();
    dropped
}

/// Gives the table whose rows, or values, are lost.
fn loses(gone: &Gone, inventory: &Inventory) -> Option<String> {
    let entry = inventory.get(gone.relation?)?;
    // The rows of a partitioned table are those of its partitions.
    let has_rows = match gone.kind.as_str() {
        "table" => entry.kind == Relation::Table,
        "table column" => matches!(entry.kind, Relation::Table | Relation::Partitioned),
        _ => false,
    };
    has_rows.then(|| entry.name.clone())
}
