//! Owns settling: conditions a person wrote, printed by PostgreSQL as it prints those of a policy.
//!
//! Each becomes a policy on a temporary table with the columns of the real one, in a transaction that is rolled back:
//! the real table is locked as a reader locks it. Tables that a condition cannot tell apart share one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Key};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;
use crate::sql::token::{self, Kind};

/// A condition on the rows of a table, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// The table.
    pub table: Key,
    /// The text.
    pub text: String,
}

/// How the shared tables are called; nobody's table is.
const STAND_IN: &str = "af_db_row";

/// Tables that go into one message.
const MESSAGE: usize = 200;

/// What settles as one: the columns that count, the table's name where that counts, the text.
type Shape = (Option<Key>, Vec<(String, String)>, String);

/// Settles conditions; each gives what PostgreSQL prints, or why it refuses.
pub async fn settle(
    session: &Session,
    catalog: &Catalog,
    conditions: &BTreeSet<Condition>,
) -> Result<BTreeMap<Condition, Result<String, ServerError>>> {
    let mut shapes: BTreeMap<Shape, Vec<&Condition>> = BTreeMap::new();
    for condition in conditions {
        shapes
            .entry(shape(catalog, condition))
            .or_default()
            .push(condition);
    }
    if shapes.is_empty() {
        return Ok(BTreeMap::new());
    }
    session
        .run(&Sql::new(
            "BEGIN;
             SET LOCAL lock_timeout = '5s';
             SET LOCAL check_function_bodies = off;
             SET LOCAL client_min_messages = error;
             SET LOCAL quote_all_identifiers = off;
             SET LOCAL DateStyle = 'ISO, MDY';
             SET LOCAL IntervalStyle = 'postgres';
             SET LOCAL TimeZone = 'UTC';
             SET LOCAL extra_float_digits = 1;
             SET LOCAL search_path = public, extensions, pg_temp",
        ))
        .await
        .context("beginning to settle policies")?;
    let settled = within(session, &shapes).await;
    let ended = session.run(&Sql::new("ROLLBACK")).await;
    let settled = settled.context("settling policies")?;
    ended?;
    Ok(settled)
}

/// Gives what decides how a condition is printed; every name it could mean stands in it as a word.
fn shape(catalog: &Catalog, condition: &Condition) -> Shape {
    let words: BTreeSet<String> = token::code(&condition.text)
        .filter(|token| matches!(token.kind, Kind::Word | Kind::QuotedName))
        .map(|token| word(token.text(&condition.text)))
        .collect();
    let table = &condition.table;
    let named = words.contains(&*table.name) || words.contains(STAND_IN);
    // Under its own name a table stands for itself, with all its columns.
    let columns = catalog
        .columns(table)
        .into_iter()
        .filter(|(key, _)| !named && words.contains(&*key.part))
        .map(|(key, column)| {
            let collation = column.text("collation").unwrap_or_default();
            let of_type = column.text("type").unwrap_or_default();
            (key.part.to_string(), format!("{of_type} {collation}"))
        })
        .collect();
    (
        named.then(|| table.clone()),
        columns,
        condition.text.clone(),
    )
}

fn word(text: &str) -> String {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or(rest).replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}

async fn within(
    session: &Session,
    shapes: &BTreeMap<Shape, Vec<&Condition>>,
) -> Result<BTreeMap<Condition, Result<String, ServerError>>> {
    // One stand-in for all shapes with the same columns.
    let mut tables: BTreeMap<(&Option<Key>, &Vec<(String, String)>), (String, Vec<&Shape>)> =
        BTreeMap::new();
    for shape in shapes.keys() {
        let count = tables.len();
        let (named, columns, _) = shape;
        let (_, of_table) = tables.entry((named, columns)).or_insert_with(|| {
            let name = named
                .as_ref()
                .map_or_else(|| format!("{STAND_IN}_{count}"), |key| key.name.to_string());
            (name, Vec::new())
        });
        of_table.push(shape);
    }
    let mut refused: BTreeMap<&Shape, ServerError> = BTreeMap::new();
    let mut names: BTreeMap<&Shape, (String, &str)> = BTreeMap::new();
    let mut batches: Vec<Vec<(Sql, Vec<(&Shape, Sql)>)>> = vec![Vec::new()];
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut number = 0;
    for (stand_in, of_table) in tables.values() {
        let first = &shapes[of_table[0]][0].table;
        let like = ObjectName::new(&*first.schema, &*first.name);
        let temporary = ObjectName::new("pg_temp", stand_in.as_str());
        let make = Sql::fill(
            "DROP TABLE IF EXISTS {}; CREATE TEMPORARY TABLE {} (LIKE {})",
            &[&temporary, &Ident::new(stand_in.as_str()), &like],
        );
        let mut policies = Vec::new();
        for shape in of_table {
            let name = format!("p{number}");
            number += 1;
            let text = Sql::written_by_user(shape.2.as_str());
            let policy = Sql::fill(
                "CREATE POLICY {} ON {} USING (\n{}\n)",
                &[&Ident::new(name.as_str()), &temporary, &text],
            );
            names.insert(shape, (name, stand_in));
            policies.push((*shape, policy));
        }
        // Of two tables with one name in two schemas, the second waits until the first was read.
        let full = batches.last().is_some_and(|batch| batch.len() >= MESSAGE);
        if full || !taken.insert(stand_in) {
            batches.push(Vec::new());
            taken = BTreeSet::from([stand_in.as_str()]);
        }
        if let Some(batch) = batches.last_mut() {
            batch.push((make, policies));
        }
    }
    let mut printed: BTreeMap<String, String> = BTreeMap::new();
    for batch in &batches {
        make(session, batch, &mut refused).await?;
        session.run(&Sql::new("SET LOCAL search_path = ''")).await?;
        for row in session
            .query(include_str!("queries/settled.sql"), &[])
            .await?
        {
            printed.insert(row.try_get(0)?, row.try_get(1)?);
        }
        session
            .run(&Sql::new(
                "SET LOCAL search_path = public, extensions, pg_temp",
            ))
            .await?;
    }
    let mut settled = BTreeMap::new();
    for (shape, conditions) in shapes {
        for condition in conditions {
            let answer = match (refused.get(shape), names.get(shape)) {
                (None, Some((name, stand_in))) => {
                    let text = printed.get(name).map(String::as_str).unwrap_or_default();
                    Ok(rename(text, stand_in, &condition.table))
                }
                (error, _) => {
                    let stand_in = names.get(shape).map_or(STAND_IN, |(_, name)| name);
                    Err(named(error.cloned().unwrap_or_default(), stand_in, &condition.table))
                }
            };
            settled.insert((*condition).clone(), answer);
        }
    }
    Ok(settled)
}

/// Makes tables and policies; where the server refuses, one by one, so that it is known which.
async fn make<'s>(
    session: &Session,
    batch: &[(Sql, Vec<(&'s Shape, Sql)>)],
    refused: &mut BTreeMap<&'s Shape, ServerError>,
) -> Result<()> {
    let mut all = Sql::new("SAVEPOINT settling");
    for (make, policies) in batch {
        all.push(";\n").piece(make);
        for (_, policy) in policies {
            all.push(";\n").piece(policy);
        }
    }
    if session.run(&all).await.is_ok() {
        return Ok(());
    }
    session.run(&Sql::new("ROLLBACK TO settling")).await?;
    for (make, policies) in batch {
        let made = attempt(session, make).await?;
        for (shape, policy) in policies {
            let done = match &made {
                None => attempt(session, policy).await?,
                refusal => refusal.clone(),
            };
            if let Some(error) = done {
                refused.insert(shape, error);
            }
        }
    }
    Ok(())
}

/// Runs a statement under a savepoint; gives the server's refusal.
async fn attempt(session: &Session, sql: &Sql) -> Result<Option<ServerError>> {
    session.run(&Sql::new("SAVEPOINT one")).await?;
    let Err(error) = session.run(sql).await else {
        return Ok(None);
    };
    let Some(server) = error
        .downcast_ref::<ServerError>()
        .filter(|server| !server.closed)
    else {
        return Err(error);
    };
    let server = server.clone();
    session.run(&Sql::new("ROLLBACK TO one")).await?;
    Ok(Some(server))
}

/// Has an error speak of the real table.
fn named(mut error: ServerError, stand_in: &str, table: &Key) -> ServerError {
    let real = |text: &str| text.replace(stand_in, &table.name);
    error.message = real(&error.message);
    error.hint = error.hint.as_deref().map(real);
    error
}

/// Gives the stand-in the name of the real table.
fn rename(text: &str, stand_in: &str, table: &Key) -> String {
    if !text.contains(stand_in) {
        return text.to_owned();
    }
    let real = Ident::new(&*table.name).to_string();
    let mut renamed = String::with_capacity(text.len());
    let mut at = 0;
    for token in token::code(text) {
        let word = token.text(text);
        renamed.push_str(&text[at..token.start]);
        renamed.push_str(if word == stand_in { &real } else { word });
        at = token.start + word.len();
    }
    renamed.push_str(&text[at..]);
    renamed
}
