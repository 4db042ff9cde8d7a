//! Reads what the event triggers on the shadow database logged: dropped objects, rewritten tables, changed
//! privileges.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::Result;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::plan::observe::access_scope::NoticedChanges;
use crate::plan::observe::inventory::Inventory;
use crate::plan::observe::{DroppedObject, RelationKind};

/// What was logged while one statement ran.
#[derive(Default)]
pub(super) struct StatementLog {
    pub(super) dropped: Vec<DroppedObject>,
    pub(super) rewritten: BTreeSet<u32>,
    pub(super) rights: NoticedChanges,
    /// Whether it could not be read, because a later statement failed and took it along.
    pub(super) is_lost: bool,
}

/// One line of the log.
pub(super) struct LogEntry {
    /// When the statement began that has written it.
    pub(super) at: SystemTime,
    what: LoggedEvent,
}

/// What an event trigger has seen.
enum LoggedEvent {
    Dropped(DroppedIdentity),
    Rewritten(u32),
    /// Privileges, of a function if it is named.
    Granted(Option<u32>),
}

/// A dropped object, as the server reports it.
struct DroppedIdentity {
    kind: String,
    identity: String,
    relation: Option<u32>,
    function: Option<u32>,
    named: bool,
}

/// Reads the lines, which stand in the order in which they were written.
pub(super) fn lines(rows: &[Row]) -> Result<Vec<LogEntry>> {
    rows.iter().map(line).collect()
}

fn line(row: &Row) -> Result<LogEntry> {
    let what = match row.try_get::<_, &str>("what")? {
        "rewritten" => LoggedEvent::Rewritten(row.try_get("relation")?),
        "granted" => LoggedEvent::Granted(row.try_get("function")?),
        _ => LoggedEvent::Dropped(DroppedIdentity {
            kind: row.try_get("kind")?,
            identity: row.try_get("identity")?,
            relation: row.try_get("relation")?,
            function: row.try_get("function")?,
            named: row.try_get("named")?,
        }),
    };
    Ok(LogEntry {
        at: row.try_get("at")?,
        what,
    })
}

/// Reports what lines say; the second session still sees what was there before.
pub(super) async fn read(
    session: &Session,
    onlooker: &Session,
    lines: Vec<LogEntry>,
    inventory: &Inventory,
) -> Result<StatementLog> {
    let mut log = StatementLog::default();
    let mut gone = Vec::new();
    for line in lines {
        match line.what {
            LoggedEvent::Rewritten(relation) => {
                log.rewritten.insert(relation);
            }
            LoggedEvent::Granted(Some(function)) => log.rights.functions.push(function),
            LoggedEvent::Granted(None) => log.rights.unnamed = true,
            LoggedEvent::Dropped(it) => gone.push(it),
        }
    }
    for gone in &gone {
        let whole = !gone.kind.ends_with(" column");
        log.rights.gone.extend(gone.relation.filter(|_| whole));
        log.rights.functions.extend(gone.function);
        let table = gone.identity.rsplit_once(" on ").map(|(_, table)| table);
        if let Some(table) = table.filter(|_| gone.kind == "policy") {
            log.rights.tables.push(table.to_owned());
        }
    }
    let members = members(onlooker, &gone).await?;
    let holders = holders(session, &gone).await?;
    log.dropped = tell(&gone, &members, inventory, &holders);
    Ok(log)
}

/// Names what belongs to extensions that are gone; it goes without saying.
async fn members(onlooker: &Session, gone: &[DroppedIdentity]) -> Result<BTreeSet<String>> {
    let of_kind = gone.iter().filter(|gone| gone.kind == "extension");
    let extensions: Vec<&str> = of_kind.map(|gone| gone.identity.as_str()).collect();
    if extensions.is_empty() {
        return Ok(BTreeSet::new());
    }
    let params = [(&extensions as _, Type::TEXT_ARRAY)];
    let rows = onlooker
        .query(include_str!("queries/members.sql"), &params)
        .await?;
    let identities = rows.iter().map(|row| row.try_get(0));
    Ok(identities.collect::<Result<_, _>>()?)
}

/// Finds a table that holds values of each composite type that has lost an attribute.
async fn holders(session: &Session, gone: &[DroppedIdentity]) -> Result<BTreeMap<u32, u32>> {
    let attributes = gone.iter().filter(|gone| gone.kind == ATTRIBUTE);
    let types: Vec<u32> = attributes.filter_map(|gone| gone.relation).collect();
    if types.is_empty() {
        return Ok(BTreeMap::new());
    }
    let params = [(&types as _, Type::OID_ARRAY)];
    let rows = session
        .query(include_str!("queries/holders.sql"), &params)
        .await?;
    let pairs = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    pairs.collect()
}

/// How the server calls a part of a composite type.
const ATTRIBUTE: &str = "composite type column";

/// Leaves out what is only a part of something else that is gone, and what the plan itself had made.
fn tell(
    gone: &[DroppedIdentity],
    members: &BTreeSet<String>,
    inventory: &Inventory,
    holders: &BTreeMap<u32, u32>,
) -> Vec<DroppedObject> {
    let relations: BTreeSet<&str> = gone
        .iter()
        .filter(|gone| gone.relation.is_some() && gone.kind != "table column")
        .map(|gone| gone.identity.as_str())
        .collect();
    let is_part = |gone: &DroppedIdentity| {
        let of = gone.identity.rsplit_once(" on ").map(|(_, of)| of);
        let attached = of.is_some_and(|of| relations.contains(of));
        let shadowed = matches!(gone.kind.as_str(), "type" | "toast table" | "default value");
        let of_family = gone.kind.ends_with(" of access method");
        attached
            || of_family
            || members.contains(&gone.identity)
            || shadowed && (!gone.named || gone.kind != "type")
    };
    let mut dropped: Vec<DroppedObject> = gone
        .iter()
        .filter(|gone| gone.named || !is_part(gone))
        .filter(|index| index.kind != "index" || index.named || falls(index, gone, inventory))
        // Privileges are reported as access changes.
        .filter(|gone| gone.kind != "default acl")
        // The triggers a foreign key works by are part of it.
        .filter(|gone| gone.named || !gone.identity.starts_with("\"RI_ConstraintTrigger_"))
        .filter(|gone| {
            gone.relation
                .is_none_or(|relation| inventory.get(relation).is_some())
        })
        .map(|gone| DroppedObject {
            kind: gone.kind.clone(),
            name: gone.identity.clone(),
            loses: loses(gone, inventory, holders),
            named: gone.named,
        })
        .collect();
    dropped.sort();
    dropped.dedup();
    dropped
}

/// Whether an index goes although its table stays and no constraint or index that it is a part of goes.
fn falls(index: &DroppedIdentity, gone: &[DroppedIdentity], inventory: &Inventory) -> bool {
    let table = index
        .relation
        .and_then(|id| inventory.get(id))
        .and_then(|entry| inventory.get(entry.table?));
    let Some(table) = table else { return false };
    let bare = index.identity.rsplit_once('.').map(|(_, bare)| bare);
    let carries = |other: &DroppedIdentity| {
        let constraint = other.identity.rsplit_once(" on ").map(|(name, _)| name);
        other.kind == "table" && other.identity == table.name
            || other.kind == "table constraint" && constraint == bare
            || other.kind == "index" && other.named
    };
    !gone.iter().any(carries)
}

/// Returns the table whose rows, or values, are lost.
fn loses(
    gone: &DroppedIdentity,
    inventory: &Inventory,
    holders: &BTreeMap<u32, u32>,
) -> Option<String> {
    if gone.kind == ATTRIBUTE {
        let holder = inventory.get(*holders.get(&gone.relation?)?)?;
        return Some(holder.name.clone());
    }
    let entry = inventory.get(gone.relation?)?;
    // The rows of a partitioned table are those of its partitions.
    let has_rows = match gone.kind.as_str() {
        "table" => entry.kind == RelationKind::Table,
        "table column" => matches!(entry.kind, RelationKind::Table | RelationKind::Partitioned),
        _ => false,
    };
    has_rows.then(|| entry.name.clone())
}
