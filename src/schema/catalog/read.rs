//! Reads a catalog from a server: one transaction, a fixed number of pipelined queries, whatever the size.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use futures_util::future::{join, try_join_all};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use crate::catalog::row_decoder::RowDecoder;
use crate::catalog::scope::is_platform;
use crate::catalog::{Catalog, Interner, Scope};
use crate::pg::server_error::ServerError;
use crate::pg::session::{Param, Rows, Session};
use crate::sql::safe::Sql;

/// Reads the catalog of a shadow database again and again, with prepared queries.
pub struct CatalogReader {
    session: Session,
    scope: Scope,
    prepared: HashMap<&'static str, Statement>,
}

impl CatalogReader {
    /// Prepares the queries in the session.
    pub async fn new(session: Session, scope: Scope) -> Result<Self> {
        // The plans do not depend on the schemas that are read.
        session
            .run(&Sql::new("SET plan_cache_mode = force_generic_plan"))
            .await?;
        let profile = profile(&session).await?;
        let listed = queries(&scope, &profile).into_iter();
        let questions = listed.chain(LAST_QUERIES.map(|sql| (sql, 0)));
        let prepared = try_join_all(questions.map(async |(sql, params)| {
            let types = vec![Type::OID_ARRAY; params];
            anyhow::Ok((sql, session.prepare(sql, &types).await?))
        }));
        let prepared = prepared.await?.into_iter().collect();
        Ok(CatalogReader {
            session,
            scope,
            prepared,
        })
    }

    pub async fn read(&self) -> Result<Catalog> {
        read_with_retries(&self.runner(), &self.scope, &Interner::default()).await
    }

    fn runner(&self) -> QueryRunner<'_> {
        QueryRunner {
            session: &self.session,
            prepared: Some(&self.prepared),
        }
    }
}

/// Runs catalog queries, with prepared statements where there are some.
#[derive(Clone, Copy)]
struct QueryRunner<'a> {
    session: &'a Session,
    prepared: Option<&'a HashMap<&'static str, Statement>>,
}

impl QueryRunner<'_> {
    async fn stream(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Rows<'_>> {
        match self.prepared.and_then(|prepared| prepared.get(sql)) {
            Some(statement) => self.session.stream_prepared(statement, params).await,
            None => self.session.stream(sql, params).await,
        }
    }
}

/// What decides which queries run.
struct ServerProfile {
    version: i32,
    database: String,
    reader: String,
    superuser: bool,
    supabase: bool,
}

/// Reads the part of the database that is in scope, in one snapshot.
///
/// The session must not be in a transaction. What the role may not see is listed in [`Catalog::unseen`]. If another
/// session drops an object while it is read, the catalog is read again.
pub async fn read(session: &Session, scope: &Scope) -> Result<Catalog> {
    read_sharing(session, scope, &Interner::default()).await
}

/// Like [`read`], sharing equal texts with other catalogs.
pub async fn read_sharing(session: &Session, scope: &Scope, shared: &Interner) -> Result<Catalog> {
    let runner = QueryRunner {
        session,
        prepared: None,
    };
    read_with_retries(&runner, scope, shared).await
}

async fn read_with_retries(
    runner: &QueryRunner<'_>,
    scope: &Scope,
    shared: &Interner,
) -> Result<Catalog> {
    for _ in 1..ATTEMPTS {
        match read_once(runner, scope, shared).await {
            Err(error) if changed_during_read(&error) => {}
            read => return read,
        }
    }
    read_once(runner, scope, shared).await
}

/// How often a catalog is read again after a concurrent change.
const ATTEMPTS: usize = 10;

/// Returns whether an object was dropped between being listed and being printed.
///
/// The functions that print definitions use the current catalog, not the snapshot of the transaction.
fn changed_during_read(error: &anyhow::Error) -> bool {
    let Some(server) = error.downcast_ref::<ServerError>() else {
        return false;
    };
    let vanished = server.message.starts_with("cache lookup failed")
        || server
            .message
            .starts_with("could not open relation with OID")
        || server.message.starts_with("could not find tuple");
    server.is("XX000") && vanished || server.is("42P01") || server.is("42704")
}

async fn read_once(runner: &QueryRunner<'_>, scope: &Scope, shared: &Interner) -> Result<Catalog> {
    let session = runner.session;
    // With an empty search path every name is printed with its schema; the other settings
    // fix how constants in expressions are spelt.
    session
        .run(&Sql::new(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SET LOCAL search_path = '';
             SET LOCAL quote_all_identifiers = off;
             SET LOCAL DateStyle = 'ISO, MDY';
             SET LOCAL IntervalStyle = 'postgres';
             SET LOCAL TimeZone = 'UTC';
             SET LOCAL extra_float_digits = 1;
             SET LOCAL jit = off",
        ))
        .await
        .context("beginning to read the catalog")?;
    let catalog = read_within(runner, scope, shared)
        .await
        .context("reading the catalog");
    let ended = session.run(&Sql::new("ROLLBACK")).await;
    let catalog = catalog?;
    ended?;
    Ok(catalog)
}

async fn profile(session: &Session) -> Result<ServerProfile> {
    let profile = session
        .query_one(include_str!("queries/facts.sql"), &[])
        .await?;
    Ok(ServerProfile {
        version: profile.try_get(0)?,
        database: profile.try_get(1)?,
        reader: profile.try_get(2)?,
        superuser: profile.try_get(3)?,
        supabase: profile.try_get(4)?,
    })
}

async fn read_within(
    runner: &QueryRunner<'_>,
    scope: &Scope,
    shared: &Interner,
) -> Result<Catalog> {
    let (profile, namespaces) = join(
        profile(runner.session),
        runner
            .session
            .query(include_str!("queries/namespaces.sql"), &[]),
    )
    .await;
    let profile = profile?;
    let mut schemas = SchemaOids::default();
    for row in namespaces? {
        let (oid, name): (u32, &str) = (row.try_get(0)?, row.try_get(1)?);
        if scope.includes(name, profile.supabase) {
            schemas.in_scope.push(oid);
            schemas.with_platform.push(oid);
        } else if profile.supabase && is_platform(name) {
            schemas.with_platform.push(oid);
        }
    }
    let reader = RowDecoder::new(profile.version, shared);
    collect(runner, scope, &profile, reader, &schemas).await
}

/// OIDs of the schemas that are read.
#[derive(Default)]
struct SchemaOids {
    in_scope: Vec<u32>,
    /// Those in scope and those of the platform, to whose tables users add policies and triggers.
    with_platform: Vec<u32>,
}

async fn collect(
    runner: &QueryRunner<'_>,
    scope: &Scope,
    profile: &ServerProfile,
    mut reader: RowDecoder<'_>,
    schemas: &SchemaOids,
) -> Result<Catalog> {
    let within = (
        &schemas.in_scope as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::OID_ARRAY,
    );
    let beside = (
        &schemas.with_platform as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::OID_ARRAY,
    );
    let (one, both, none) = ([within.clone()], [within, beside], []);
    // All queries are pipelined; their results must be read in order.
    let mut answers = FuturesOrdered::new();
    let queries = queries(scope, profile);
    let objects = queries.len();
    for (sql, params) in queries.into_iter().chain(LAST_QUERIES.map(|sql| (sql, 0))) {
        let params: &[_] = match params {
            0 => &none,
            1 => &one,
            _ => &both,
        };
        answers.push_back(runner.stream(sql, params));
    }
    for _ in 0..objects {
        reader.take(next(&mut answers).await?).await?;
    }
    reader.take_comments(next(&mut answers).await?).await?;
    reader.take_labels(next(&mut answers).await?).await?;
    reader.take_dependencies(next(&mut answers).await?).await?;
    let mut unmodelled = next(&mut answers).await?;
    let mut catalog = Catalog {
        version: profile.version,
        database: profile.database.clone(),
        reader: profile.reader.clone(),
        objects: reader.finish(),
        ..Catalog::default()
    };
    while let Some(row) = unmodelled.next().await? {
        let (kind, count): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        let plural = if count == 1 { "" } else { "s" };
        catalog.unmodelled.push(format!("{count} {kind}{plural}"));
    }
    if scope.global && !profile.superuser {
        catalog
            .unseen
            .push("subscriptions and user mapping options (need superuser)".into());
    }
    Ok(catalog)
}

async fn next<'a>(
    answers: &mut FuturesOrdered<impl Future<Output = Result<Rows<'a>>>>,
) -> Result<Rows<'a>> {
    let answer = answers.next().await;
    answer.context("the server returned fewer results than expected")?
}

/// Queries about the objects that the other queries return.
const LAST_QUERIES: [&str; 4] = [
    include_str!("queries/comments.sql"),
    include_str!("queries/labels.sql"),
    include_str!("queries/dependencies.sql"),
    include_str!("queries/unmodelled.sql"),
];

/// Returns the queries to send with the number of parameters of each.
fn queries(scope: &Scope, profile: &ServerProfile) -> Vec<(&'static str, usize)> {
    let mut queries = vec![
        (include_str!("queries/schemas.sql"), 1),
        (include_str!("queries/columns.sql"), 1),
        (include_str!("queries/relations.sql"), 1),
        (include_str!("queries/types.sql"), 1),
        (include_str!("queries/defaults.sql"), 1),
        (include_str!("queries/identities.sql"), 1),
        (include_str!("queries/sequences.sql"), 1),
        (include_str!("queries/sequence_owners.sql"), 1),
        (include_str!("queries/constraints.sql"), 1),
        (include_str!("queries/indexes.sql"), 1),
        (include_str!("queries/policies.sql"), 2),
        (include_str!("queries/row_security.sql"), 2),
        (include_str!("queries/triggers.sql"), 2),
        (include_str!("queries/rules.sql"), 1),
        (include_str!("queries/partitions.sql"), 1),
        (include_str!("queries/functions.sql"), 1),
        (include_str!("queries/aggregates.sql"), 1),
        (include_str!("queries/statistics.sql"), 1),
        (include_str!("queries/operators.sql"), 1),
        (include_str!("queries/operator_families_and_classes.sql"), 1),
        (include_str!("queries/collations.sql"), 1),
        (include_str!("queries/conversions.sql"), 1),
        (include_str!("queries/text_search.sql"), 1),
        (include_str!("queries/default_privileges.sql"), 1),
        // Extensions are read in every scope: dependencies on their objects become dependencies on the extension.
        (include_str!("queries/extensions.sql"), 0),
    ];
    if profile.version >= 180_000 {
        queries.push((include_str!("queries/not_nulls.sql"), 1));
    }
    if scope.global {
        queries.extend([
            (include_str!("queries/languages.sql"), 0),
            (include_str!("queries/casts.sql"), 0),
            (include_str!("queries/transforms.sql"), 0),
            (include_str!("queries/access_methods.sql"), 0),
            (include_str!("queries/foreign.sql"), 0),
            (include_str!("queries/event_triggers.sql"), 0),
            (include_str!("queries/database.sql"), 0),
            (include_str!("queries/system_grants.sql"), 0),
        ]);
        if profile.version >= 150_000 {
            queries.push((include_str!("queries/publications.sql"), 0));
            queries.push((include_str!("queries/parameters.sql"), 0));
        } else {
            queries.push((include_str!("queries/publications_14.sql"), 0));
        }
        if profile.superuser {
            queries.push((include_str!("queries/subscriptions.sql"), 0));
        }
    }
    if scope.roles {
        queries.push((include_str!("queries/roles.sql"), 0));
    }
    queries
}
