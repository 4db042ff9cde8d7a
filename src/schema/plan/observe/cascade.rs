//! Adds rows that foreign keys delete or update by CASCADE, which an empty shadow database cannot show.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::plan::observe::inventory::Inventory;
use crate::plan::observe::{CascadeCause, WrittenRows};

/// Adds the tables whose rows are deleted, or have their reference cleareds, along with rows that a statement deletes.
pub(super) async fn follow(
    session: &Session,
    inventory: &Inventory,
    rows: &mut Vec<WrittenRows>,
) -> Result<()> {
    let deleted: BTreeMap<&str, bool> = rows
        .iter()
        .filter(|rows| rows.deletes)
        .map(|rows| (rows.relation.as_str(), rows.all))
        .collect();
    if deleted.is_empty() {
        return Ok(());
    }
    let entries = inventory.entries.iter();
    let ids: Vec<u32> = entries
        .filter(|(_, entry)| deleted.contains_key(entry.name.as_str()))
        .map(|(id, _)| *id)
        .collect();
    let all = deleted.values().all(|all| *all);
    let keys = session
        .query(
            include_str!("queries/cascades.sql"),
            &[(&ids, Type::OID_ARRAY)],
        )
        .await?;
    for key in keys {
        let (relation, with): (u32, u32) = (key.try_get("relation")?, key.try_get("with")?);
        let (Some(entry), Some(with)) = (inventory.get(relation), inventory.get(with)) else {
            continue;
        };
        let deletes: bool = key.try_get("deletes")?;
        let known = rows.iter_mut().find(|rows| rows.relation == entry.name);
        match known {
            Some(known) if known.deletes || !deletes => {}
            Some(known) => {
                known.deletes = true;
                known.along = Some(along(&with.name, key.try_get("key")?));
            }
            None => rows.push(WrittenRows {
                relation: entry.name.clone(),
                inserted: 0,
                updated: 0,
                deleted: 0,
                deletes,
                all: deletes && all,
                along: Some(along(&with.name, key.try_get("key")?)),
            }),
        }
    }
    rows.sort();
    Ok(())
}

fn along(with: &str, key: &str) -> CascadeCause {
    CascadeCause {
        with: with.to_owned(),
        key: key.to_owned(),
    }
}
