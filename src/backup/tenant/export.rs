//! Exports one tenant's rows from every table that has some, in one snapshot, referenced tables first.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use chrono::Utc;
use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::tenant_tables::{self, TenantTable, TenantTables};
use super::{RENDERING, SCRIPT, render, script};
use crate::archive::{self, Archive, PROOF, Server, StoredFile, Tools, Totals};
use crate::dump::{self, Options};
use crate::dump_inspector::RowHasher;
use crate::error::{Exit, refuse, with_exit};
use crate::event::{Event, Interrupt, Unit, Watch};
use crate::file_encoding::{self, Writer};
use crate::pg::connect;
use crate::pg::lock::{self, Share};
use crate::pg::pooler;
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::proof::{Proof, SumProof, TableProof};
use crate::properties;
use crate::sql::safe::Sql;
use crate::store::{Pending, Store};
use crate::unpack;

pub async fn run(
    options: &Options,
    column: &str,
    store: &Store,
    watch: Watch<'_>,
    interrupt: &Interrupt,
) -> Result<Archive> {
    let _guard = interrupt.guard();
    let session = connect::open(&options.target, watch).await?;
    pooler::require_session(&session, &options.target).await?;
    let work = async {
        let _lock = lock::take(&session, Share::Together, options.wait, watch).await?;
        export(options, column, store, watch, &session).await
    };
    let exported = tokio::select! {
        exported = work => exported,
        () = interrupt.wait() => Err(with_exit(Exit::Interrupted, "interrupted; no backup was made").into()),
    };
    session.close().await;
    let (pending, mut archive, clock) = exported?;
    if store.is_remote() {
        unpack::check_stored(store, &archive, options.read_back, watch, interrupt).await?;
    }
    archive.milliseconds = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    pending.commit(&archive.to_json()?)?;
    Ok(archive)
}

async fn export(
    options: &Options,
    column: &str,
    store: &Store,
    watch: Watch<'_>,
    session: &Session,
) -> Result<(Pending, Archive, Instant)> {
    let (started, clock) = (Utc::now(), Instant::now());
    let recipients = file_encoding::recipients(&options.recipients)?;
    let tenant = options.scope.tenant.clone().unwrap_or_default();
    render(session).await?;
    session
        .run(&Sql::new("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        .await?;
    let tenant_tables = tenant_tables::read(session)
        .await?
        .tenant_tables(column, &tenant)?;
    tenant_tables.check_rights()?;
    let (server, rendering) = properties::server(session).await?;
    let database = properties::database(session).await?;
    let name = dump::archive_name(
        &format!("{}-tenant-{tenant}", options.target.database()),
        started,
    );
    let pending = store.begin(&name, database.bytes)?;
    let stored = archive::stored_name(SCRIPT, !recipients.is_empty());
    let mut writer = Counted {
        inner: Writer::new(pending.create(&stored)?, &recipients)?,
        bytes: 0,
    };
    let tables = write(session, &tenant_tables, &tenant, &mut writer, watch).await?;
    let history = dump::history(session, &options.history).await?;
    session.run(&Sql::new("ROLLBACK")).await?;
    let content = writer.bytes;
    let sealed = writer.inner.complete()?;
    let rows = tables.iter().map(|table| table.sum.rows).sum();
    if rows == 0 {
        return Err(
            refuse(format!("no rows of tenant `{tenant}`; no backup was made"))
                .hint(format!("`{column}` must contain the given tenant id"))
                .into(),
        );
    }
    let script = StoredFile {
        name: stored,
        size: sealed.size,
        sha256: sealed.sha256,
        content,
        head: None,
    };
    let database_bytes = database.bytes;
    let proof = Proof {
        encoding: "UTF8".to_owned(),
        rendering,
        sequences: Vec::new(),
        large_objects: SumProof::default(),
        contents: None,
        database,
        tables,
    };
    let files = vec![
        script,
        seal_small(&pending, &recipients, &serde_json::to_vec(&proof)?)?,
    ];
    let totals = Totals {
        tables: proof.tables.len() as u64,
        rows,
        large_objects: 0,
        dump_bytes: content,
        database_bytes,
    };
    let archive = Archive {
        name,
        started: dump::rfc3339(started),
        server,
        totals,
        history,
        not_included: not_included(&tenant_tables),
        files,
        ..blank(options)
    };
    Ok((pending, archive, clock))
}

/// Returns the description of an archive before its contents are known.
fn blank(options: &Options) -> Archive {
    Archive {
        version: 1,
        name: String::new(),
        label: options.label.clone(),
        database: options.target.database().to_owned(),
        started: String::new(),
        milliseconds: 0,
        tools: Tools {
            af_db: env!("CARGO_PKG_VERSION").to_owned(),
            pg_dump: "none".to_owned(),
        },
        server: Server::default(),
        succeeds: Vec::new(),
        scope: options.scope.clone(),
        totals: Totals::default(),
        recipients: options.recipients.clone(),
        history: None,
        catalog: None,
        not_included: Vec::new(),
        files: Vec::new(),
    }
}

fn not_included(tenant_tables: &TenantTables) -> Vec<String> {
    let shared = tenant_tables.shared.iter();
    shared
        .map(|table| {
            format!("rows of {table} that the tenant's rows reference (they belong to no tenant)")
        })
        .collect()
}

fn seal_small(
    pending: &Pending,
    recipients: &[age::x25519::Recipient],
    content: &[u8],
) -> Result<StoredFile> {
    let name = archive::stored_name(PROOF, !recipients.is_empty());
    let mut writer = Writer::new(pending.create(&name)?, recipients)?;
    writer.write_all(content)?;
    let sealed = writer.complete()?;
    Ok(StoredFile {
        name,
        size: sealed.size,
        sha256: sealed.sha256,
        content: content.len() as u64,
        head: None,
    })
}

/// Writes the script and returns the expected rows of its tables.
async fn write(
    session: &Session,
    tenant_tables: &TenantTables,
    tenant: &str,
    writer: &mut Counted,
    watch: Watch<'_>,
) -> Result<Vec<TableProof>> {
    watch(Event::Began {
        task: "exporting the tenant",
        total: Some(tenant_tables.members.len() as u64),
        unit: Unit::Items,
    });
    // Written as Rust writes a string, so that no name can end the comment.
    writeln!(
        writer,
        "-- The rows of tenant {tenant:?}; psql -1 -v ON_ERROR_STOP=1 loads them.\n{RENDERING}"
    )?;
    if tenant_tables.is_circular {
        writeln!(
            writer,
            "SET session_replication_role = replica; -- keys run in a circle"
        )?;
    }
    let mut tables = Vec::new();
    for (done, member) in tenant_tables.members.iter().enumerate() {
        watch(Event::Advanced {
            done: done as u64,
            note: member.table.name.name.as_str(),
        });
        let mut table = TableProof {
            schema: member.table.name.schema.as_str().to_owned(),
            name: member.table.name.name.as_str().to_owned(),
            columns: member.columns().as_str().to_owned(),
            sum: SumProof::default(),
        };
        writeln!(writer, "COPY {} FROM stdin;", script::head_of(&table))?;
        table.sum = rows(session, member, writer).await?;
        writeln!(writer, "\\.")?;
        tables.push(table);
    }
    watch(Event::Ended);
    Ok(tables)
}

/// Copies the tenant's rows of a table and hashes them.
pub(super) async fn rows(
    session: &Session,
    member: &TenantTable,
    into: &mut dyn std::io::Write,
) -> Result<SumProof> {
    let copy = Sql::fill("COPY ({}) TO STDOUT", &[&member.query()]);
    let doing = || format!("reading the tenant's rows of {}", member.table.name);
    let mut hasher = RowHasher::default();
    let mut stream = std::pin::pin!(session.copy_out(&copy).await.with_context(doing)?);
    while let Some(bytes) = stream
        .try_next()
        .await
        .map_err(ServerError::from)
        .with_context(doing)?
    {
        hasher.feed(&bytes);
        into.write_all(&bytes)?;
    }
    Ok(hasher.sum().into())
}

struct Counted {
    inner: Writer,
    bytes: u64,
}

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
