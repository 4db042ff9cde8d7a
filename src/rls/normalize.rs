//! Normalizes written conditions to the form in which PostgreSQL prints those of a policy.
//!
//! Each becomes a policy on a temporary table with the columns of the real one, in a transaction that is rolled back:
//! the real table is locked as a reader locks it. Tables that look the same to a condition share one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use crate::catalog::{Catalog, Key};
use crate::pg::server_error::ServerError;
use crate::pg::session::Session;
use crate::sql::external_access;
use crate::sql::name::{Ident, ObjectName};
use crate::sql::safe::Sql;
use crate::sql::token::{self, TokenKind};

/// A condition on the rows of a table, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    pub table: Key,
    pub text: String,
}

/// How the shared tables are called; unowned table is.
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
    let mut unfit = BTreeMap::new();
    for condition in conditions {
        // It becomes part of a statement of ours, which may run on a database that people work with.
        if !external_access::is_expression(&condition.text) {
            let error = ServerError {
                message: "the condition is not one complete expression".to_owned(),
                sqlstate: Some("42601".to_owned()),
                ..ServerError::default()
            };
            unfit.insert(condition.clone(), Err(error));
            continue;
        }
        shapes
            .entry(shape(catalog, condition))
            .or_default()
            .push(condition);
    }
    if shapes.is_empty() {
        return Ok(unfit);
    }
    session
        .run(&Sql::new(
            "BEGIN;
             SET LOCAL lock_timeout = '5s';
             SET LOCAL standard_conforming_strings = on;
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
        .context("starting to normalize policies")?;
    let settled = within(session, &shapes).await;
    let ended = session.run(&Sql::new("ROLLBACK")).await;
    let mut settled = settled.context("settling policies")?;
    ended?;
    settled.append(&mut unfit);
    Ok(settled)
}

/// Returns what decides how a condition is printed; every name it could mean stands in it as a word.
fn shape(catalog: &Catalog, condition: &Condition) -> Shape {
    let words: BTreeSet<String> = token::code(&condition.text)
        .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedName))
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

/// One stand-in with the policies to make on it, each for its shape.
struct StandInTable<'s> {
    name: String,
    make: Sql,
    policies: Vec<(&'s Shape, String, Sql)>,
}

/// Returns one stand-in for all shapes with the same columns.
fn stand_ins<'s>(shapes: &'s BTreeMap<Shape, Vec<&Condition>>) -> Vec<StandInTable<'s>> {
    let mut stand_ins: Vec<StandInTable<'s>> = Vec::new();
    let mut number = 0;
    let mut last = None;
    // Shapes are sorted by what makes a stand-in, the text last.
    for (shape, conditions) in shapes {
        let (named, columns, text) = shape;
        if last.replace((named, columns)) != Some((named, columns)) {
            let table = &conditions[0].table;
            let name = match named {
                Some(key) => key.name.to_string(),
                None => format!("{STAND_IN}_{}", stand_ins.len()),
            };
            let make = Sql::fill(
                "DROP TABLE IF EXISTS {}; CREATE TEMPORARY TABLE {} (LIKE {})",
                &[
                    &ObjectName::new("pg_temp", name.as_str()),
                    &Ident::new(name.as_str()),
                    &ObjectName::new(&*table.schema, &*table.name),
                ],
            );
            stand_ins.push(StandInTable {
                name,
                make,
                policies: Vec::new(),
            });
        }
        let Some(stand_in) = stand_ins.last_mut() else {
            continue;
        };
        let name = format!("p{number}");
        number += 1;
        let policy = Sql::fill(
            "CREATE POLICY {} ON {} USING (\n{}\n)",
            &[
                &Ident::new(name.as_str()),
                &ObjectName::new("pg_temp", stand_in.name.as_str()),
                &Sql::written_by_user(text.as_str()),
            ],
        );
        stand_in.policies.push((shape, name, policy));
    }
    stand_ins
}

/// Cuts stand-ins into messages; of two with one name, of tables in two schemas, the second waits for the next.
fn messages<'a, 's>(stand_ins: &'a [StandInTable<'s>]) -> Vec<Vec<&'a StandInTable<'s>>> {
    let mut messages: Vec<Vec<&StandInTable<'_>>> = vec![Vec::new()];
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for stand_in in stand_ins {
        let full = messages
            .last()
            .is_some_and(|message| message.len() >= MESSAGE);
        if full || !taken.insert(&stand_in.name) {
            messages.push(Vec::new());
            taken = BTreeSet::from([stand_in.name.as_str()]);
        }
        if let Some(message) = messages.last_mut() {
            message.push(stand_in);
        }
    }
    messages
}

async fn within(
    session: &Session,
    shapes: &BTreeMap<Shape, Vec<&Condition>>,
) -> Result<BTreeMap<Condition, Result<String, ServerError>>> {
    let stand_ins = stand_ins(shapes);
    let mut refused: BTreeMap<&Shape, ServerError> = BTreeMap::new();
    let mut printed: BTreeMap<String, String> = BTreeMap::new();
    for message in messages(&stand_ins) {
        make(session, &message, &mut refused).await?;
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
    for stand_in in &stand_ins {
        for (shape, name, _) in &stand_in.policies {
            for condition in &shapes[*shape] {
                let answer = match refused.get(shape) {
                    None => {
                        let text = printed.get(name).map(String::as_str).unwrap_or_default();
                        Ok(rename(text, &stand_in.name, &condition.table))
                    }
                    Some(error) => Err(named(error.clone(), &stand_in.name, &condition.table)),
                };
                settled.insert((*condition).clone(), answer);
            }
        }
    }
    Ok(settled)
}

/// Makes tables and policies; where the server refuses, one by one, so that it is known which.
async fn make<'s>(
    session: &Session,
    stand_ins: &[&StandInTable<'s>],
    refused: &mut BTreeMap<&'s Shape, ServerError>,
) -> Result<()> {
    let mut all = Sql::new("SAVEPOINT settling");
    for stand_in in stand_ins {
        all.push(";\n").piece(&stand_in.make);
        for (_, _, policy) in &stand_in.policies {
            all.push(";\n").piece(policy);
        }
    }
    if session.run(&all).await.is_ok() {
        return Ok(());
    }
    session.run(&Sql::new("ROLLBACK TO settling")).await?;
    for stand_in in stand_ins {
        let made = attempt(session, &stand_in.make).await?;
        for (shape, _, policy) in &stand_in.policies {
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
    error.message = error.message.replace(stand_in, &table.name);
    let hint = error.hint.take();
    error.hint = hint.map(|hint| hint.replace(stand_in, &table.name));
    error
}

/// Returns the stand-in the name of the real table.
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
