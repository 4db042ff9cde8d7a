//! Known locks and scans of statements that cannot run in a transaction, and effects that depend on data.
//!
//! Such a statement still runs on the shadow database, for its errors and the files it creates; a second session
//! samples its locks while it runs. The table of known locks adds what sampling may miss.

use std::collections::BTreeMap;

use anyhow::Result;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::plan::observe::inventory::{Inventory, RelationEntry};
use crate::plan::observe::lock::LockMode;
use crate::plan::observe::{
    ObservationSource, RelationKind, RelationLock, Scan, StatementObservation,
};
use crate::sql::class::{Class, Object};
use crate::sql::phrase::{Phrase, QualifiedName};
use crate::sql::safe::Sql;

/// Returns why the verdict on a statement may be another one where there are rows.
pub(super) fn depends_on_rows(class: Class, seen: &StatementObservation) -> Option<String> {
    let reads = !seen.scans.is_empty() || !seen.locks.is_empty();
    let why = match class {
        Class::Update | Class::Delete | Class::Merge if reads => {
            "the number of rows and the query plan"
        }
        Class::Insert
        | Class::Copy { .. }
        | Class::Select
        | Class::SelectInto
        | Class::CreateTableAs
            if seen
                .locks
                .iter()
                .any(|lock| lock.mode == LockMode::AccessShare) =>
        {
            "the number of rows and the query plan"
        }
        // Locking rows is not reading only.
        Class::Select if !seen.locks.is_empty() && !seen.scans.is_empty() => {
            "the number of rows and the query plan"
        }
        Class::Create(Object::MaterializedView) if reads => "the number of rows and the query plan",
        Class::Refresh { .. } => "the query plan",
        Class::Cluster => "whether it sorts the rows or uses the index",
        Class::Do | Class::Call => "the effect of the code",
        _ => return None,
    };
    Some(format!(
        "{why} depends on data, and the shadow database is empty"
    ))
}

/// Adds the referenced tables that checking a foreign key reads, which is not visible on empty tables.
pub(super) fn reads_partners(
    inventory: &Inventory,
    partners: &[u32],
    observation: &mut StatementObservation,
) {
    for partner in partners
        .iter()
        .filter_map(|partner| inventory.get(*partner))
    {
        let rows = partner.kind == RelationKind::Table;
        if !rows || observation.scans.is_empty() {
            continue;
        }
        if observation
            .scans
            .iter()
            .all(|scan| scan.relation != partner.name)
        {
            observation.scans.push(Scan {
                relation: partner.name.clone(),
                times: 1,
            });
            observation.scans.sort();
        }
        observation.depends_on_rows = Some(format!(
            "whether {} is scanned or read by index depends on data, and the shadow database is empty",
            partner.name
        ));
    }
}

/// Returns why a statement is not run on a shadow database: what it does reaches beyond the database.
pub(super) fn never_on_a_shadow(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::AlterSystem => "not run on the shadow database: affects the whole server",
        Class::Create(Object::Database) | Class::Drop(Object::Database) => {
            "not run on the shadow database: creates or drops a database"
        }
        Class::Alter(Object::Database) => {
            "not run on the shadow database: changes a database setting"
        }
        Class::SecurityLabel => {
            "not run on the shadow database: the provider of its security labels may not be loaded"
        }
        Class::Create(Object::Tablespace) | Class::Drop(Object::Tablespace) => {
            "not run on the shadow database: needs directories on the server"
        }
        Class::Create(Object::Subscription)
        | Class::Alter(Object::Subscription)
        | Class::Drop(Object::Subscription) => {
            "not run on the shadow database: connects to another server"
        }
        _ => return None,
    })
}

/// Runs a statement outside of any transaction and samples its locks from another session.
pub(super) async fn sampled(
    session: &Session,
    onlooker: &Session,
    sql: &Sql,
) -> Result<(Result<()>, BTreeMap<u32, LockMode>)> {
    let pid = session.server_info().backend_pid;
    let mut seen: BTreeMap<u32, LockMode> = BTreeMap::new();
    let run = session.run(sql);
    tokio::pin!(run);
    loop {
        let param = (
            &pid as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::INT4,
        );
        let params = [param];
        let look = onlooker.query(include_str!("queries/sample.sql"), &params);
        let rows = tokio::select! {
            ran = &mut run => return Ok((ran, seen)),
            rows = look => rows?,
        };
        for row in rows {
            let (relation, mode): (u32, &str) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(mode) = LockMode::parse(mode) {
                let kept = seen.entry(relation).or_insert(mode);
                *kept = mode.max(*kept);
            }
        }
    }
}

/// Puts down what is known of a statement before it runs: the locks it is going to take.
pub(super) async fn of(
    session: &Session,
    inventory: &Inventory,
    class: Class,
    words: Phrase<'_>,
    observation: &mut StatementObservation,
) -> Result<()> {
    observation.spoke = match class {
        Class::Do | Class::Call => ObservationSource::Sampled,
        _ => ObservationSource::Facts,
    };
    for (name, mode) in named(class, words) {
        let Some(entry) = resolve(session, inventory, &name).await? else {
            continue;
        };
        let table = match entry.table {
            Some(table) => inventory.get(table).unwrap_or(entry),
            None => entry,
        };
        if class == (Class::CreateIndex { concurrently: true }) {
            observation.scans.push(Scan {
                relation: table.name.clone(),
                times: 2,
            });
        }
        observation.locks.push(RelationLock {
            relation: table.name.clone(),
            kind: table.kind,
            mode,
        });
    }
    if class == Class::Vacuum && observation.locks.is_empty() {
        let full = is_full(words);
        let tables = inventory.entries.values().filter(|entry| {
            matches!(
                entry.kind,
                RelationKind::Table | RelationKind::MaterializedView
            )
        });
        observation.locks.extend(tables.map(|entry| RelationLock {
            relation: entry.name.clone(),
            kind: entry.kind,
            mode: vacuum_mode(full),
        }));
    }
    observation.locks.sort();
    observation.depends_on_rows = depends_on_rows(class, observation);
    Ok(())
}

fn vacuum_mode(full: bool) -> LockMode {
    if full {
        LockMode::AccessExclusive
    } else {
        LockMode::ShareUpdateExclusive
    }
}

fn is_full(words: Phrase<'_>) -> bool {
    words.is(1, "full")
        || words
            .inside(1)
            .is_some_and(|(inside, _)| inside.contains(&["full"]))
}

/// Returns the relations a statement names, with the strongest lock it ever takes on each, or on the table of an index.
fn named(class: Class, words: Phrase<'_>) -> Vec<(QualifiedName, LockMode)> {
    let gentle = LockMode::ShareUpdateExclusive;
    match class {
        Class::CreateIndex { .. } => {
            let Some(on) = words.find(&["on"]) else {
                return Vec::new();
            };
            let at = words.skip(on + 1, &["only"]);
            words
                .name(at)
                .map(|(name, _)| (name, gentle))
                .into_iter()
                .collect()
        }
        Class::DropIndex { .. } => {
            let at = words.skip(words.skip(2, &["concurrently"]), &["if", "exists"]);
            listed(words, at, gentle)
        }
        Class::Reindex { concurrently } => {
            let at = words.inside(1).map_or(1, |(_, after)| after);
            if !words.is(at, "index") && !words.is(at, "table") {
                return Vec::new();
            }
            let mode = if concurrently {
                gentle
            } else {
                LockMode::Share
            };
            listed(words, words.skip(at + 1, &["concurrently"]), mode)
        }
        Class::Vacuum => {
            let mut at = words.inside(1).map_or(1, |(_, after)| after);
            while ["full", "freeze", "verbose", "analyze"]
                .iter()
                .any(|option| words.is(at, option))
            {
                at += 1;
            }
            listed(words, at, vacuum_mode(is_full(words)))
        }
        Class::Alter(Object::Table) => detached(words),
        _ => Vec::new(),
    }
}

/// `ALTER TABLE parent DETACH PARTITION part CONCURRENTLY`
fn detached(words: Phrase<'_>) -> Vec<(QualifiedName, LockMode)> {
    let at = words.skip(words.skip(2, &["if", "exists"]), &["only"]);
    let (Some((parent, after)), Some(part)) =
        (words.name(at), words.find(&["detach", "partition"]))
    else {
        return Vec::new();
    };
    debug_assert!(after <= part, "the table stands before what is done to it");
    let mut named = vec![(parent, LockMode::ShareUpdateExclusive)];
    named.extend(
        words
            .name(part + 2)
            .map(|(name, _)| (name, LockMode::AccessExclusive)),
    );
    named
}

fn listed(words: Phrase<'_>, mut at: usize, mode: LockMode) -> Vec<(QualifiedName, LockMode)> {
    let mut names = Vec::new();
    while let Some((name, after)) = words.name(at) {
        names.push((name, mode));
        // The columns that VACUUM ANALYZE may name.
        let after = words.inside(after).map_or(after, |(_, behind)| behind);
        if words.at(after) != "," {
            break;
        }
        at = after + 1;
    }
    names
}

async fn resolve<'i>(
    session: &Session,
    inventory: &'i Inventory,
    name: &QualifiedName,
) -> Result<Option<&'i RelationEntry>> {
    let name = name.to_string();
    let row = session
        .query_one(
            "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
            &[(&name, Type::TEXT)],
        )
        .await?;
    let relation: Option<u32> = row.try_get(0)?;
    Ok(relation.and_then(|relation| inventory.get(relation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{classify, phrase};

    fn check(text: &str, expected: &str) {
        let tokens = phrase::read(text);
        let named: Vec<String> = named(classify::class(text), Phrase::new(text, &tokens))
            .into_iter()
            .map(|(name, mode)| format!("{mode} {name}"))
            .collect();
        assert_eq!(named.join(", "), expected, "{text}");
    }

    #[test]
    fn non_transactional_statements_have_known_locks() {
        check(
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.t (a)",
            "ShareUpdateExclusive app.t",
        );
        check(
            "DROP INDEX CONCURRENTLY IF EXISTS a, app.b CASCADE",
            "ShareUpdateExclusive a, ShareUpdateExclusive app.b",
        );
        check(
            "REINDEX (VERBOSE) TABLE CONCURRENTLY t",
            "ShareUpdateExclusive t",
        );
        check("REINDEX SCHEMA app", "");
        check(
            "VACUUM (FULL, VERBOSE) t (a), u",
            "AccessExclusive t, AccessExclusive u",
        );
        check("VACUUM FREEZE ANALYZE t", "ShareUpdateExclusive t");
        check("VACUUM", "");
        check(
            "ALTER TABLE IF EXISTS ONLY p DETACH PARTITION app.\"P1\" CONCURRENTLY",
            "ShareUpdateExclusive p, AccessExclusive app.\"P1\"",
        );
    }
}
