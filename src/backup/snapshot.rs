//! The snapshot of a backup: first every table is locked against changes, then one snapshot is exported for all connections.
//!
//! The order matters: without the locks, a TRUNCATE or a rewriting ALTER that commits between the snapshot and `pg_dump`'s
//! own locks gives an empty table and success.

use std::time::Duration;

use anyhow::{Context as _, Result};

use tokio_postgres::types::Type;

use crate::archive::Scope;
use crate::error::{Exit, fail, refuse, with_exit};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::name::{Literal, ObjectName};
use crate::sql::safe::Sql;

/// A table or sequence that a dump would read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DumpedTable {
    pub name: ObjectName,
    /// Its kind as `pg_class.relkind` has it.
    pub kind: char,
    /// Whether it survives a crash: `u` does not.
    pub persistence: char,
    pub readable: bool,
    /// Whether row-level security would hide rows from our role.
    pub filtered: bool,
    pub bytes: u64,
    /// Whether an extension made it.
    pub is_member: bool,
    /// The table a sequence belongs to.
    pub owner: Option<ObjectName>,
}

impl DumpedTable {
    /// Returns whether a dump contains its rows.
    pub fn has_rows(&self) -> bool {
        self.kind == 'r'
    }
}

/// Lists what a dump of this scope would read.
pub async fn list(session: &Session, scope: &Scope) -> Result<Vec<DumpedTable>> {
    let rows = session
        .query(include_str!("queries/tables.sql"), &[])
        .await
        .context("listing the tables")?;
    let letter = |text: String| text.chars().next().unwrap_or(' ');
    let listed = rows.iter().map(|row| DumpedTable {
        name: ObjectName::new(row.get::<_, String>("schema"), row.get::<_, String>("name")),
        kind: letter(row.get("kind")),
        persistence: letter(row.get("persistence")),
        readable: row.get("readable"),
        filtered: row.get("filtered"),
        bytes: u64::try_from(row.get::<_, i64>("bytes")).unwrap_or(0),
        is_member: row.get("is_member"),
        owner: row
            .get::<_, Option<String>>("owner_schema")
            .map(|schema| ObjectName::new(schema, row.get::<_, String>("owner_name"))),
    });
    // A table brings the sequences along that belong to it.
    let is_wanted = |one: &DumpedTable| {
        is_in_scope(one.owner.as_ref().unwrap_or(&one.name), scope) || is_in_scope(&one.name, scope)
    };
    Ok(listed.filter(is_wanted).collect())
}

fn is_in_scope(name: &ObjectName, scope: &Scope) -> bool {
    let schema = name.schema.as_str();
    (scope.schemas.is_empty() || scope.schemas.iter().any(|one| one == schema))
        && (scope.tables.is_empty() || scope.tables.contains(&name.to_string()))
}

/// Adds the partitions and children of a scope's tables, whose rows `pg_dump` would omit silently.
///
/// Refuses a scope that names missing objects, for the same reason.
pub async fn widen(session: &Session, scope: &Scope) -> Result<Scope> {
    let mut wide = scope.clone();
    let (schemas, names) = split(&scope.tables);
    let rows = session
        .query(
            include_str!("queries/scope_absent.sql"),
            &[
                (&scope.schemas, Type::TEXT_ARRAY),
                (&schemas, Type::TEXT_ARRAY),
                (&names, Type::TEXT_ARRAY),
            ],
        )
        .await
        .context("resolving what to dump")?;
    let Some(row) = rows.first() else {
        let children = session
            .query(
                include_str!("queries/scope_children.sql"),
                &[(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)],
            )
            .await
            .context("listing partitions")?;
        wide.tables.extend(children.iter().map(|row| {
            let (schema, name): (String, String) = (row.get("schema"), row.get("name"));
            ObjectName::new(schema, name).to_string()
        }));
        wide.tables.sort();
        wide.tables.dedup();
        return Ok(wide);
    };
    let kind: String = row.get("kind");
    let name = match row.get::<_, Option<String>>("schema") {
        Some(schema) => ObjectName::new(schema, row.get::<_, String>("name")).to_string(),
        None => row.get("name"),
    };
    Err(fail(format!(
        "{kind} `{name}` does not exist; nothing was dumped"
    ))
    .hint("spell names as the catalog does, tables with their schema")
    .into())
}

/// Splits names of tables as a scope holds them.
fn split(tables: &[String]) -> (Vec<String>, Vec<String>) {
    let names = tables.iter().filter_map(|table| ObjectName::parse(table));
    names
        .map(|name| {
            (
                name.schema.as_str().to_owned(),
                name.name.as_str().to_owned(),
            )
        })
        .unzip()
}

/// Refuses what would make a dump silently partial or fail it half-way: hidden rows, missing rights.
pub async fn check_rights(session: &Session, listed: &[DumpedTable]) -> Result<()> {
    let filtered = names(listed, |one| one.filtered);
    if !filtered.is_empty() {
        return Err(refuse(format!(
            "row-level security hides rows of {filtered} from this role; nothing was dumped"
        ))
        .hint("back up as a superuser or a role with BYPASSRLS: ALTER ROLE … BYPASSRLS")
        .into());
    }
    let unreadable = names(listed, |one| {
        !one.readable && one.kind != 'f' && one.kind != 'm'
    });
    if !unreadable.is_empty() {
        return Err(refuse(format!(
            "this role may not read {unreadable}; nothing was dumped"
        ))
        .hint("back up as the owner or a superuser, or GRANT pg_read_all_data to the role")
        .into());
    }
    let row = session
        .query_one(include_str!("queries/large_objects.sql"), &[])
        .await
        .context("listing large objects")?;
    let (total, hidden): (i64, i64) = (row.get("total"), row.get("unreadable"));
    if hidden > 0 {
        return Err(refuse(format!(
            "this role may not read {hidden} of {total} large objects; nothing was dumped"
        ))
        .hint("back up as a superuser or as their owner")
        .into());
    }
    Ok(())
}

/// Lists a few names and counts the others.
fn names(listed: &[DumpedTable], wanted: impl Fn(&DumpedTable) -> bool) -> String {
    let found: Vec<String> = listed
        .iter()
        .filter(|one| wanted(one))
        .map(|one| format!("`{}`", one.name))
        .collect();
    match found.len() {
        0..=4 => found.join(", "),
        count => format!("{} and {} more", found[..3].join(", "), count - 3),
    }
}

/// How often tables may appear or vanish while they are being locked.
const TRIES: u32 = 5;

/// An exported snapshot; valid as long as the session's transaction.
pub struct Snapshot {
    /// The exported name, for other sessions to import.
    pub snapshot: String,
    /// What a dump reads.
    pub tables: Vec<DumpedTable>,
}

/// Locks every table against change, then takes the snapshot.
pub async fn take(session: &Session, scope: &Scope, patience: Duration) -> Result<Snapshot> {
    let milliseconds = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
    // Reading a table's size already waits for a session that is changing it.
    session
        .run(&Sql::fill("SET lock_timeout = {}", &[&milliseconds]))
        .await?;
    for _ in 0..TRIES {
        let tables = list(session, scope)
            .await
            .map_err(|error| in_words(error, patience))?;
        check_rights(session, &tables).await?;
        match lock(session, &tables).await {
            Ok(()) => {}
            Err(error) if vanished(&error) => {
                session.run(&Sql::new("ROLLBACK")).await?;
                continue;
            }
            Err(error) => return Err(in_words(error, patience)),
        }
        let row = session
            .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
            .await
            .map_err(|error| error.context("taking the snapshot"))?;
        let moment = Snapshot {
            snapshot: row.get(0),
            tables: list(session, scope).await?,
        };
        let lockable = |tables: &[DumpedTable]| -> Vec<ObjectName> {
            tables
                .iter()
                .filter(|one| is_lockable(one))
                .map(|one| one.name.clone())
                .collect()
        };
        if lockable(&moment.tables) == lockable(&tables) {
            return Ok(moment);
        }
        session.run(&Sql::new("ROLLBACK")).await?;
    }
    Err(with_exit(
        Exit::Busy,
        "tables keep being created and dropped, so no consistent snapshot could be taken; nothing was dumped",
    )
    .hint("try again when less DDL is running")
    .into())
}

pub async fn free_sessions(session: &Session) -> Result<usize> {
    let row = session
        .query_one(include_str!("queries/free_sessions.sql"), &[])
        .await
        .context("reading the number of free connections")?;
    Ok(usize::try_from(row.get::<_, i64>("free")).unwrap_or(0))
}

/// Imports an exported snapshot into another session.
pub async fn join(session: &Session, snapshot: &str) -> Result<()> {
    let sql = Sql::fill(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
        &[&Literal::new(snapshot)],
    );
    session.run(&sql).await.context("joining the snapshot")
}

fn is_lockable(one: &DumpedTable) -> bool {
    matches!(one.kind, 'r' | 'p')
}

async fn lock(session: &Session, tables: &[DumpedTable]) -> Result<()> {
    let begin = Sql::new(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
         SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
         SET LOCAL row_security = off",
    );
    session.run(&begin).await?;
    let lockable: Vec<&DumpedTable> = tables.iter().filter(|one| is_lockable(one)).collect();
    for batch in lockable.chunks(500) {
        // ONLY: every partition and child is in the list itself.
        let mut sql = Sql::new("LOCK TABLE ONLY ");
        sql.piece(&Sql::join(
            batch.iter().map(|one| one.name.clone()),
            ", ONLY ",
        ));
        sql.push(" IN ACCESS SHARE MODE");
        session.run(&sql).await?;
    }
    Ok(())
}

fn vanished(error: &anyhow::Error) -> bool {
    let server = error.downcast_ref::<ServerError>();
    server.is_some_and(|server| server.is("42P01") || server.is("3F000"))
}

fn in_words(error: anyhow::Error, patience: Duration) -> anyhow::Error {
    match error.downcast_ref::<ServerError>() {
        Some(server) if server.is("55P03") => with_exit(
            Exit::Busy,
            format!(
                "could not lock a table within {} s because another session is changing it; nothing was dumped",
                patience.as_secs()
            ),
        )
        .hint("try again later, or wait longer with --lock-timeout")
        .into(),
        Some(server) if server.is("42501") => refuse(format!("{}; nothing was dumped", server.message))
            .hint("back up as the owner or a superuser, or GRANT pg_read_all_data to the role")
            .into(),
        Some(server) if server.is("25006") || server.message.contains("recovery") => {
            fail("this server is a standby, which cannot export a snapshot for a dump")
                .hint("back up the primary")
                .into()
        }
        _ => error.context("locking the tables"),
    }
}
