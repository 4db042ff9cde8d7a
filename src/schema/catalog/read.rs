//! Reads a catalog from a server: one transaction, a fixed number of pipelined queries, whatever the size.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use futures_util::future::{join, try_join_all};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use crate::catalog::reader::Reader;
use crate::catalog::scope::is_platform;
use crate::catalog::{Catalog, Scope, Shared};
use crate::pg::server_error::ServerError;
use crate::pg::session::{Param, Rows, Session};
use crate::sql::safe::Sql;

/// A session of its own on a scratch database, for reading its catalog again and again: the server reads and plans each
/// question once.
pub struct Rereader {
    session: Session,
    scope: Scope,
    kept: HashMap<&'static str, Statement>,
}

impl Rereader {
    /// Has the server keep the questions.
    pub async fn new(session: Session, scope: Scope) -> Result<Self> {
        // What is planned for one set of schemas serves for every other.
        session
            .run(&Sql::new("SET plan_cache_mode = force_generic_plan"))
            .await?;
        let facts = facts(&session).await?;
        let listed = queries(&scope, &facts).into_iter();
        let questions = listed.chain(AFTERWARDS.map(|sql| (sql, 0)));
        let kept = try_join_all(questions.map(async |(sql, params)| {
            let types = vec![Type::OID_ARRAY; params];
            anyhow::Ok((sql, session.prepare(sql, &types).await?))
        }));
        let kept = kept.await?.into_iter().collect();
        Ok(Rereader {
            session,
            scope,
            kept,
        })
    }

    /// Reads the catalog as it is now.
    pub async fn read(&self) -> Result<Catalog> {
        read_patiently(&self.asker(), &self.scope, &Shared::default()).await
    }

    fn asker(&self) -> Asker<'_> {
        Asker {
            session: &self.session,
            kept: Some(&self.kept),
        }
    }
}

/// Who asks the server, in words it knows already where there are such.
#[derive(Clone, Copy)]
struct Asker<'a> {
    session: &'a Session,
    kept: Option<&'a HashMap<&'static str, Statement>>,
}

impl Asker<'_> {
    async fn stream(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Rows<'_>> {
        match self.kept.and_then(|kept| kept.get(sql)) {
            Some(statement) => self.session.stream_prepared(statement, params).await,
            None => self.session.stream(sql, params).await,
        }
    }
}

/// What decides how much is read and by which query.
struct Facts {
    version: i32,
    database: String,
    reader: String,
    superuser: bool,
    supabase: bool,
}

/// Reads the part of the database that the scope takes, as it is at one moment.
///
/// The session must not be in a transaction. What its role may not see is said in [`Catalog::unseen`]. Where another
/// session drops what is just being printed, the whole is read again.
pub async fn read(session: &Session, scope: &Scope) -> Result<Catalog> {
    read_beside(session, scope, &Shared::default()).await
}

/// Reads as [`read`] does, a catalog that shares what it says with others read beside it.
pub async fn read_beside(session: &Session, scope: &Scope, shared: &Shared) -> Result<Catalog> {
    let asker = Asker {
        session,
        kept: None,
    };
    read_patiently(&asker, scope, shared).await
}

async fn read_patiently(asker: &Asker<'_>, scope: &Scope, shared: &Shared) -> Result<Catalog> {
    for _ in 1..ATTEMPTS {
        match read_once(asker, scope, shared).await {
            Err(error) if changed_meanwhile(&error) => {}
            read => return read,
        }
    }
    read_once(asker, scope, shared).await
}

/// How often a catalog is read that changes while it is read.
const ATTEMPTS: usize = 10;

/// Returns whether something was dropped between being listed and being printed: the functions that print definitions look
/// at the catalog of now, not at that of the transaction.
fn changed_meanwhile(error: &anyhow::Error) -> bool {
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

async fn read_once(asker: &Asker<'_>, scope: &Scope, shared: &Shared) -> Result<Catalog> {
    let session = asker.session;
    // Only what is in the search path is printed without its schema, so nothing may be in it; the other settings
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
    let catalog = read_within(asker, scope, shared)
        .await
        .context("reading the catalog");
    let ended = session.run(&Sql::new("ROLLBACK")).await;
    let catalog = catalog?;
    ended?;
    Ok(catalog)
}

async fn facts(session: &Session) -> Result<Facts> {
    let facts = session
        .query_one(include_str!("queries/facts.sql"), &[])
        .await?;
    Ok(Facts {
        version: facts.try_get(0)?,
        database: facts.try_get(1)?,
        reader: facts.try_get(2)?,
        superuser: facts.try_get(3)?,
        supabase: facts.try_get(4)?,
    })
}

async fn read_within(asker: &Asker<'_>, scope: &Scope, shared: &Shared) -> Result<Catalog> {
    let (facts, namespaces) = join(
        facts(asker.session),
        asker
            .session
            .query(include_str!("queries/namespaces.sql"), &[]),
    )
    .await;
    let facts = facts?;
    let mut inside: Vec<u32> = Vec::new();
    let mut around: Vec<u32> = Vec::new();
    for row in namespaces? {
        let (oid, name): (u32, &str) = (row.try_get(0)?, row.try_get(1)?);
        if scope.takes(name, facts.supabase) {
            inside.push(oid);
            around.push(oid);
        } else if facts.supabase && is_platform(name) {
            around.push(oid);
        }
    }
    let reader = Reader::new(facts.version, shared);
    collect(asker, scope, &facts, reader, (&inside, &around)).await
}

async fn collect(
    asker: &Asker<'_>,
    scope: &Scope,
    facts: &Facts,
    mut reader: Reader<'_>,
    (inside, around): (&Vec<u32>, &Vec<u32>),
) -> Result<Catalog> {
    let within = (
        inside as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::OID_ARRAY,
    );
    let beside = (
        around as &(dyn tokio_postgres::types::ToSql + Sync),
        Type::OID_ARRAY,
    );
    let (one, both, none) = ([within.clone()], [within, beside], []);
    // Every query is on its way before the first answer is; the answers must be taken in their order.
    let mut answers = FuturesOrdered::new();
    let queries = queries(scope, facts);
    let objects = queries.len();
    for (sql, params) in queries.into_iter().chain(AFTERWARDS.map(|sql| (sql, 0))) {
        let params: &[_] = match params {
            0 => &none,
            1 => &one,
            _ => &both,
        };
        answers.push_back(asker.stream(sql, params));
    }
    for _ in 0..objects {
        reader.take(next(&mut answers).await?).await?;
    }
    reader.take_comments(next(&mut answers).await?).await?;
    reader.take_labels(next(&mut answers).await?).await?;
    reader.take_dependencies(next(&mut answers).await?).await?;
    let mut unmodelled = next(&mut answers).await?;
    let mut catalog = Catalog {
        version: facts.version,
        database: facts.database.clone(),
        reader: facts.reader.clone(),
        objects: reader.finish(),
        ..Catalog::default()
    };
    while let Some(row) = unmodelled.next().await? {
        let (kind, count): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        let plural = if count == 1 { "" } else { "s" };
        catalog.unmodelled.push(format!("{count} {kind}{plural}"));
    }
    if scope.global && !facts.superuser {
        catalog
            .unseen
            .push("subscriptions and options of user mappings, which only a superuser sees".into());
    }
    Ok(catalog)
}

async fn next<'a>(
    answers: &mut FuturesOrdered<impl Future<Output = Result<Rows<'a>>>>,
) -> Result<Rows<'a>> {
    let answer = answers.next().await;
    answer.context("the server gave fewer answers than were asked for")?
}

/// What is asked about everything that the other queries give: comments, labels, dependencies, what is not modelled.
const AFTERWARDS: [&str; 4] = [
    include_str!("queries/comments.sql"),
    include_str!("queries/labels.sql"),
    include_str!("queries/dependencies.sql"),
    include_str!("queries/unmodelled.sql"),
];

/// Returns the queries to send with the number of parameters of each.
fn queries(scope: &Scope, facts: &Facts) -> Vec<(&'static str, usize)> {
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
        (include_str!("queries/operator_families.sql"), 1),
        (include_str!("queries/operator_classes.sql"), 1),
        (include_str!("queries/collations.sql"), 1),
        (include_str!("queries/conversions.sql"), 1),
        (include_str!("queries/text_search.sql"), 1),
        (include_str!("queries/default_privileges.sql"), 1),
        // Extensions are read in every scope: what they brought stands for them.
        (include_str!("queries/extensions.sql"), 0),
    ];
    if facts.version >= 180_000 {
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
        if facts.version >= 150_000 {
            queries.push((include_str!("queries/publications.sql"), 0));
            queries.push((include_str!("queries/parameters.sql"), 0));
        } else {
            queries.push((include_str!("queries/publications_14.sql"), 0));
        }
        if facts.superuser {
            queries.push((include_str!("queries/subscriptions.sql"), 0));
        }
    }
    if scope.roles {
        queries.push((include_str!("queries/roles.sql"), 0));
    }
    queries
}
