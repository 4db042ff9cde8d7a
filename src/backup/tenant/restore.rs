//! Restores one tenant's rows into a shared database, in one transaction that is rolled back unless the rows match.

use std::io::BufRead;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::SinkExt as _;

use super::export::rows;
use super::tenant_tables::{self, ForeignKey, TableMap, TenantTables};
use super::{render, script};
use crate::archive::Archive;
use crate::error::{Exit, fail, refuse, with_exit};
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::pg::target::Target;
use crate::proof::{Proof, TableProof};
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;

/// What to load where.
pub struct TenantLoad<'a> {
    pub target: &'a Target,
    /// The column that names the tenant.
    pub column: &'a str,
    /// Whether the tenant's existing rows are deleted first.
    pub replace: bool,
    pub archive: &'a Archive,
    /// The expected rows.
    pub proof: &'a Proof,
}

/// Loads the script; commits only if every row of the tenant matches the archive.
pub async fn run(
    loading: &TenantLoad<'_>,
    script: &mut (dyn BufRead + Send),
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<u64> {
    let _guard = interrupt.guard();
    let session = connect::open(loading.target, watch).await?;
    let work = async {
        let _lock = lock::take(
            &session,
            Share::Together,
            std::time::Duration::from_secs(30),
            watch,
        )
        .await?;
        render(&session).await?;
        session.run(&Sql::new("BEGIN")).await?;
        let removed = load(loading, script, watch, &session).await?;
        session
            .run(&Sql::new("COMMIT"))
            .await
            .context("committing the tenant's rows")?;
        anyhow::Ok(removed)
    };
    let loaded = tokio::select! {
        loaded = work => loaded,
        // The session ends with its transaction open, which undoes it.
        () = interrupt.wait() => Err(with_exit(Exit::Interrupted, "interrupted; nothing was changed").into()),
    };
    session.close().await;
    loaded
}

async fn load(
    loading: &TenantLoad<'_>,
    script: &mut (dyn BufRead + Send),
    watch: Watch<'_>,
    session: &Session,
) -> Result<u64> {
    let tenant = loading.archive.scope.tenant.as_deref().unwrap_or_default();
    let map = tenant_tables::read(session).await?;
    let tenant_tables = map.tenant_tables(loading.column, tenant)?;
    tenant_tables.check_rights()?;
    check_tables(loading.proof, &tenant_tables)?;
    let without_triggers = without_triggers(session).await?;
    if tenant_tables.is_circular && !without_triggers {
        return Err(refuse("foreign keys of the tenant's tables form a cycle, which this role cannot load; nothing was changed")
            .hint("restore as a superuser, or GRANT SET ON PARAMETER session_replication_role to the role")
            .into());
    }
    let removed = make_room(loading, &tenant_tables, tenant, session).await?;
    copy(loading, script, watch, session).await?;
    watch(Event::Info("verifying the tenant's rows"));
    prove(loading, &tenant_tables, session).await?;
    if without_triggers {
        check_keys(&map, &tenant_tables, session).await?;
    }
    Ok(removed)
}

/// Refuses when the tenant's tables are not those of the archive.
fn check_tables(proof: &Proof, tenant_tables: &TenantTables) -> Result<()> {
    for member in &tenant_tables.members {
        let name = &member.table.name;
        let tables = &mut proof.tables.iter();
        if !tables.any(|table| ObjectName::new(&table.schema, &table.name) == *name) {
            // Its rows would be lost, or would reference replaced rows.
            return Err(refuse(format!(
                "table `{name}` has rows of tenants but is not in the backup; nothing was changed"
            ))
            .hint("migrate the database to the backup's migration first")
            .into());
        }
    }
    for table in &proof.tables {
        let name = ObjectName::new(&table.schema, &table.name);
        let Some(member) = tenant_tables
            .members
            .iter()
            .find(|member| member.table.name == name)
        else {
            return Err(refuse(format!(
                "table `{name}` of the backup is not a tenant table in this database; nothing was changed"
            ))
            .hint("migrate the database to the backup's migration first")
            .into());
        };
        if member.columns().as_str() != table.columns {
            return Err(refuse(format!(
                "table `{name}` has different columns than in the backup; nothing was changed"
            ))
            .hint("migrate the database to the backup's migration first")
            .into());
        }
    }
    Ok(())
}

/// Disables triggers, which would change the restored rows; foreign keys are checked afterwards.
async fn without_triggers(session: &Session) -> Result<bool> {
    let set = "SAVEPOINT triggers; SET LOCAL session_replication_role = replica; RELEASE triggers";
    match session.run(&Sql::new(set)).await {
        Ok(()) => Ok(true),
        Err(error)
            if error
                .downcast_ref::<ServerError>()
                .is_some_and(|server| server.is("42501")) =>
        {
            session.run(&Sql::new("ROLLBACK TO triggers")).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn make_room(
    loading: &TenantLoad<'_>,
    tenant_tables: &TenantTables,
    tenant: &str,
    session: &Session,
) -> Result<u64> {
    let mut removed = 0;
    for member in tenant_tables.members.iter().rev() {
        let name = &member.table.name;
        if loading.replace {
            let delete = Sql::fill("DELETE FROM {} AS t WHERE {}", &[name, &member.rows]);
            let told = session.simple_query(&delete).await;
            let told = told.with_context(|| format!("removing the tenant's rows of {name}"))?;
            removed += told
                .iter()
                .map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::CommandComplete(rows) => *rows,
                    _ => 0,
                })
                .sum::<u64>();
            continue;
        }
        let there = Sql::fill("SELECT EXISTS ({})", &[&member.query()]);
        let rows = session.query_sql(&there, &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Err(refuse(format!(
                "table `{name}` already has rows of tenant `{tenant}`; nothing was changed"
            ))
            .hint("use --replace to delete the tenant's rows first, in the same transaction")
            .into());
        }
    }
    Ok(removed)
}

async fn copy(
    loading: &TenantLoad<'_>,
    script: &mut (dyn BufRead + Send),
    watch: Watch<'_>,
    session: &Session,
) -> Result<()> {
    watch(Event::Began {
        task: "loading the tenant",
        total: Some(loading.archive.totals.rows),
        unit: Unit::Items,
    });
    let mut done = 0;
    let mut line = Vec::new();
    while next_line(script, &mut line)? {
        let text = String::from_utf8_lossy(&line).into_owned();
        let Some(head) = script::head(text.trim_end()) else {
            continue;
        };
        let tables = loading.proof.tables.iter();
        let table = tables
            .clone()
            .find(|table| script::head_of(table) == head)
            .context("the script loads a table that is not in proof.json")?;
        table_rows(session, table, script).await?;
        done += table.sum.rows;
        watch(Event::Advanced {
            done,
            note: &table.name,
        });
    }
    watch(Event::Ended);
    Ok(())
}

fn next_line(script: &mut (dyn BufRead + Send), line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    let read = script.read_until(b'\n', line);
    Ok(read.context("reading the tenant's script")? > 0)
}

/// Loads the rows up to the line that ends them.
async fn table_rows(
    session: &Session,
    table: &TableProof,
    script: &mut (dyn BufRead + Send),
) -> Result<()> {
    const PIECE: usize = 256 << 10;
    let name = ObjectName::new(&table.schema, &table.name);
    let columns = Sql::printed_by_server(&table.columns);
    let copy = Sql::fill("COPY {} {} FROM STDIN", &[&name, &columns]);
    let doing = || format!("loading the tenant's rows of {name}; nothing was changed");
    let mut sink = std::pin::pin!(session.copy_in(&copy).await.with_context(doing)?);
    let (mut piece, mut line) = (Vec::with_capacity(PIECE), Vec::new());
    loop {
        let is_over = !next_line(script, &mut line)? || line == b"\\.\n";
        if !is_over {
            piece.extend_from_slice(&line);
        }
        if piece.len() >= PIECE || (is_over && !piece.is_empty()) {
            let bytes = Bytes::from(std::mem::take(&mut piece));
            sink.send(bytes)
                .await
                .map_err(ServerError::from)
                .with_context(doing)?;
        }
        if is_over {
            sink.finish()
                .await
                .map_err(ServerError::from)
                .with_context(doing)?;
            return Ok(());
        }
    }
}

async fn prove(
    loading: &TenantLoad<'_>,
    tenant_tables: &TenantTables,
    session: &Session,
) -> Result<()> {
    for member in &tenant_tables.members {
        let name = &member.table.name;
        let found = rows(session, member, &mut std::io::sink()).await?;
        let tables = loading.proof.tables.iter();
        let is_it = |table: &&TableProof| ObjectName::new(&table.schema, &table.name) == *name;
        let expected = tables.clone().find(is_it).map(|table| table.sum.clone());
        let expected = expected.unwrap_or_default();
        let is_same = found == expected || (found.rows == 0 && expected.rows == 0);
        if !is_same {
            return Err(fail(format!(
                "the tenant's rows of `{name}` differ from the backup ({} rows, {} expected); nothing was changed",
                found.rows, expected.rows
            ))
            .hint("a trigger or a generated default changes the rows; restore as a superuser")
            .into());
        }
    }
    Ok(())
}

/// Checks every foreign key of and to the tenant's tables, because loading did not.
async fn check_keys(map: &TableMap, tenant_tables: &TenantTables, session: &Session) -> Result<()> {
    let is_member = |oid: i64| tenant_tables.members.iter().any(|member| member.oid == oid);
    for key in &map.keys {
        let (Some(from), Some(to)) = (map.tables.get(&key.from), map.tables.get(&key.to)) else {
            continue;
        };
        if !is_member(key.from) && !is_member(key.to) {
            continue;
        }
        let broken = orphans(key, &from.name, &to.name);
        let rows = session.query_sql(&broken, &[]).await?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Err(fail(format!(
                "rows of `{}` would violate foreign key {}; nothing was changed",
                from.name, key.name
            ))
            .hint(format!(
                "the referenced rows of `{}` are not in the backup; restore them first",
                to.name
            ))
            .into());
        }
    }
    Ok(())
}

fn orphans(key: &ForeignKey, from: &ObjectName, to: &ObjectName) -> Sql {
    let pairs = key
        .columns
        .iter()
        .zip(&key.referenced)
        .map(|(column, referenced)| {
            Sql::fill(
                "r.{} = t.{}",
                &[
                    &Ident::new(referenced.as_str()),
                    &Ident::new(column.as_str()),
                ],
            )
        });
    let said = key
        .columns
        .iter()
        .map(|column| Sql::fill("t.{} IS NOT NULL", &[&Ident::new(column.as_str())]));
    Sql::fill(
        "SELECT EXISTS (SELECT FROM {} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS r WHERE {}))",
        &[
            from,
            &Sql::join(said, " AND "),
            to,
            &Sql::join(pairs, " AND "),
        ],
    )
}
