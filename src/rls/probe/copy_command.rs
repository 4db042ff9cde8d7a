//! Probes `COPY`: TO must return what SELECT returns, FROM is refused where policies apply.
//!
//! It cannot be sent from within a function, so what is copied out has a transaction of its own that is rolled back.

use anyhow::Result;
use futures_util::TryStreamExt as _;

use crate::probe::context::{Leak, ProbeContext};
use crate::probed_schema::Relation;
use crate::runner::{self, Identity, RunAs};
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Weight};

/// Never more tables of one role than this: the statement does not differ from table to table.
const TABLES: usize = 100;

/// Copies every table of tenants out and in as the usual member of each role.
pub(crate) async fn all(context: &mut ProbeContext<'_>) -> Result<()> {
    for identity in context.members() {
        let tables = context.tenant_tables();
        for table in tables.into_iter().take(TABLES) {
            let known = |command: &str, word: ProbeOutcome| {
                context.verdicts.iter().any(|one| {
                    one.verdict == word
                        && one.command == command
                        && one.object == table.title()
                        && one.role == identity.role
                })
            };
            let (out, into) = (
                known("select", ProbeOutcome::Passed) && !known("select", ProbeOutcome::Leak),
                known("insert", ProbeOutcome::Passed) && !known("insert", ProbeOutcome::Leak),
            );
            if out {
                give(context, &identity, table).await?;
            }
            if into {
                take(context, &identity, table).await?;
            }
        }
    }
    Ok(())
}

/// Copies a table out: never more rows than SELECT gives.
async fn give(context: &mut ProbeContext<'_>, identity: &Identity, table: &Relation) -> Result<()> {
    let columns = context.facts.rights(&identity.role, table.oid).readable;
    let names = Sql::join(columns.iter().map(|name| Ident::new(name.as_str())), ", ");
    let rows = Sql::fill("SELECT {} FROM {}", &[&names, &table.object()]);
    let sql = if table.kind == "p" {
        Sql::fill("COPY ({}) TO STDOUT", &[&rows])
    } else {
        Sql::fill("COPY {} ({}) TO STDOUT", &[&table.object(), &names])
    };
    let session = context.session;
    enter(context, identity).await?;
    let seen = session.query_sql(&rows, &[]).await.map(|rows| rows.len());
    let copied = match session.copy_out(&sql).await {
        Ok(stream) => {
            let lines = stream.try_fold(0, |lines, chunk| {
                std::future::ready(Ok(
                    lines + chunk.iter().filter(|byte| **byte == b'\n').count()
                ))
            });
            lines.await.map_err(anyhow::Error::from)
        }
        Err(error) => Err(error),
    };
    session.run(&Sql::new("ROLLBACK")).await?;
    match (seen, copied) {
        (Ok(seen), Ok(copied)) if copied > seen => {
            let why = format!("COPY returns {copied} rows where SELECT returns {seen}");
            report(context, identity, table, (sql, why));
        }
        (Ok(seen), Ok(_)) if seen > 0 => {
            let why = "COPY returns the same rows as SELECT".to_owned();
            context.note(ProbeOutcome::Passed, (table.title(), "copy"), identity, why);
        }
        _ => {}
    }
    Ok(())
}

/// Asks whether policies apply to the request: where they do, PostgreSQL takes nothing by COPY, not even own rows.
///
/// To send rows and be refused half-way would leave the session out of step.
async fn take(context: &mut ProbeContext<'_>, identity: &Identity, table: &Relation) -> Result<()> {
    let asked = Sql::fill(
        "SELECT pg_catalog.row_security_active({}::text)::text",
        &[&Literal::new(table.object().to_string())],
    );
    let attempt = vec![runner::read(RunAs::Request(identity), asked)];
    let came = runner::run(context.session, &[attempt]).await?;
    let applies = came
        .first()
        .and_then(|steps| steps.first()?.given.as_deref())
        == Some("true");
    if applies {
        let why = "PostgreSQL refuses COPY FROM where policies apply (SQLSTATE 0A000)".to_owned();
        context.note(ProbeOutcome::Passed, (table.title(), "copy"), identity, why);
        if let Some(one) = context.verdicts.last_mut() {
            one.proven_by = ProvenBy::Catalog;
        }
    }
    Ok(())
}

async fn enter(context: &ProbeContext<'_>, identity: &Identity) -> Result<()> {
    let mut all = Sql::new("BEGIN; SET LOCAL statement_timeout = '5s'");
    for one in identity.becoming() {
        all.push("; ").piece(&one);
    }
    context.session.run(&all).await
}

fn report(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    table: &Relation,
    (sql, why): (Sql, String),
) {
    let script = context.script(&[table.oid], identity, &[sql]);
    context.leak(Leak {
        object: table.title(),
        command: "copy",
        identity,
        class: "E13",
        weight: Weight::Critical,
        why,
        rows: None,
        exposes: None,
        script: Some(script),
        proven_by: ProvenBy::Probe,
    });
}
