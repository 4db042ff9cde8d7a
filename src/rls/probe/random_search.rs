//! Searches beyond the fixed probes: random combinations of statements of a member of A, reproducible by seed, until
//! a row of B becomes visible or changes. A leak is reduced to the statements it needs.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::expression_text;
use crate::probe::call_arguments;
use crate::probe::context::{Leak, ProbeContext};
use crate::probe::privilege_escalation::{count, number, target_tables};
use crate::probed_schema::{Column, Relation};
use crate::prove::ProofOptions;
use crate::runner::{self, Answer, Identity, RunAs, Step};
use crate::seed::insert;
use crate::seed::plan::RowRequest;
use crate::seed::tenancy_map::Side;
use crate::seed::values::Value;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;
use crate::verdict::{ProbeOutcome, ProvenBy, Weight};

/// One statement that a member may send.
#[derive(Clone)]
struct Move {
    verb: &'static str,
    /// The table or function it goes through.
    through: String,
    /// Whether it goes through a table that says who is a member.
    joins: bool,
    sql: Sql,
}

/// Moves of one request.
const MOVES: usize = 160;

/// Moves that are combined at most.
const LONGEST: usize = 3;

/// Searches as the usual member of each role.
pub(crate) async fn all(context: &mut ProbeContext<'_>, options: &ProofOptions) -> Result<()> {
    let members = context.members();
    for identity in &members {
        let moves = moves(context, identity);
        if moves.is_empty() {
            continue;
        }
        let attempts = attempts(
            moves.len(),
            options.attempts / members.len().max(1),
            options.seed,
        );
        let found = hits(context, identity, &moves, &attempts).await?;
        for (attempt, table, how) in found {
            let shortest = shrink(context, identity, &moves, (attempt, table, how)).await?;
            let chosen: Vec<Move> = shortest.iter().map(|at| moves[*at].clone()).collect();
            report(context, identity, &chosen, (table, how));
        }
    }
    Ok(())
}

/// What came of moves for one table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// Rows of B are seen now.
    Seen,
    /// Rows of B are not what they were.
    Changed,
}

/// Draws which moves are made together: each alone first, then as chance has it.
fn attempts(moves: usize, most: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..moves.min(most)).map(|at| vec![at]).collect();
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let mut known = BTreeSet::new();
    for _ in 0..most * 4 {
        if all.len() >= most || moves < 2 {
            break;
        }
        let length = 2 + draw(LONGEST - 1);
        let one: Vec<usize> = (0..length).map(|_| draw(moves)).collect();
        if known.insert(one.clone()) {
            all.push(one);
        }
    }
    all
}

fn moves(context: &mut ProbeContext<'_>, identity: &Identity) -> Vec<Move> {
    let mut found = Vec::new();
    let facts = context.facts;
    let tables: Vec<&Relation> = facts
        .relations
        .values()
        .filter(|table| table.is_table() && !table.is_partition)
        .collect();
    for table in tables {
        let rights = facts.rights(&identity.role, table.oid);
        let joins = context
            .tenancy_map
            .members
            .iter()
            .any(|members| members.table == table.oid);
        let mut add = |verb, sql| {
            found.push(Move {
                verb,
                through: table.title(),
                joins,
                sql,
            });
        };
        if !rights.insertable.is_empty() {
            for (name, value) in pokes(context, table, &rights.insertable) {
                let request = RowRequest {
                    turn: 1,
                    ..RowRequest::default()
                };
                let mut values = context
                    .plan
                    .fresh(context.tenancy_map, table, Side::A, &request);
                values.insert(name, value);
                values.retain(|name, _| rights.insertable.contains(name));
                add("insert", insert::insert(table, &values));
            }
        }
        for (name, value) in pokes(context, table, &rights.updatable) {
            let Some(column) = table.column(&name) else {
                continue;
            };
            let sql = Sql::fill(
                "UPDATE {} SET {} = {}",
                &[
                    &table.object(),
                    &Ident::new(name.as_str()),
                    &insert::literal(&value, &column.type_name),
                ],
            );
            add("update", sql);
        }
        if rights.may("DELETE") {
            add("delete", Sql::fill("DELETE FROM {}", &[&table.object()]));
        }
    }
    let callable = facts
        .callable
        .get(&identity.role)
        .cloned()
        .unwrap_or_default();
    for function in callable.iter().filter_map(|oid| facts.functions.get(oid)) {
        let writes = function.volatility == "v" && function.result_kind != "trigger";
        if !writes || crate::seed::tenancy_map::is_platform(&function.schema) {
            continue;
        }
        let title = function.title();
        for sql in call_arguments::some(context, function) {
            found.push(Move {
                verb: "execute",
                through: title.clone(),
                joins: false,
                sql,
            });
        }
    }
    found.truncate(MOVES);
    found
}

/// Returns values that a row of A's could hold and that are B's, or that policies speak of.
fn pokes(context: &ProbeContext<'_>, table: &Relation, columns: &[String]) -> Vec<(String, Value)> {
    let tenant = context.tenancy_map.tenant_column(table.oid);
    let mut found = Vec::new();
    for column in table
        .columns
        .iter()
        .filter(|column| columns.contains(&column.name))
    {
        if Some(column.name.as_str()) == tenant || column.generated {
            continue;
        }
        let of_b = keys_of_b(context, table, column);
        found.extend(
            of_b.into_iter()
                .map(|value| (column.name.clone(), Some(value))),
        );
        if let Some(labels) = &column.labels {
            found.extend(
                labels
                    .iter()
                    .take(4)
                    .map(|label| (column.name.clone(), Some(label.clone()))),
            );
        } else if column.base == "bool" {
            found.extend(
                ["true", "false"].map(|truth| (column.name.clone(), Some(truth.to_owned()))),
            );
        } else if matches!(column.base.as_str(), "text" | "varchar") {
            let texts = context
                .tenancy_map
                .texts
                .get(&table.oid)
                .into_iter()
                .flatten();
            let spoken: BTreeSet<String> = texts
                .filter(|text| expression_text::mentions(text, &column.name))
                .flat_map(|text| expression_text::read(text).values)
                .collect();
            found.extend(
                spoken
                    .into_iter()
                    .take(4)
                    .map(|word| (column.name.clone(), Some(word))),
            );
        }
    }
    found
}

/// Returns keys of B's rows that a column could name: by its foreign key, else by its name and type.
fn keys_of_b(context: &ProbeContext<'_>, table: &Relation, column: &Column) -> Vec<String> {
    let targets: Vec<i64> = context
        .facts
        .foreign_keys(table.oid)
        .filter(|key| key.columns == [column.name.clone()])
        .filter_map(|key| key.target)
        .collect();
    let mut found = Vec::new();
    for other in context.tenant_tables() {
        let elsewhere = other.oid != table.oid;
        if elsewhere && let Some(value) = namesake(context, other, column) {
            found.push(value);
        }
        let named = elsewhere && expression_text::names(&column.name, &other.name);
        if !targets.contains(&other.oid) && !named {
            continue;
        }
        let [key] = &context.facts.primary_key(other.oid)[..] else {
            continue;
        };
        let fits = other.column(key).is_some_and(|own| own.base == column.base);
        let value = context
            .row(other.oid, Side::B)
            .and_then(|row| row.values.get(key)?.clone());
        found.extend(value.filter(|_| fits));
    }
    if found.is_empty()
        && expression_text::suggests_user(&column.name)
        && column.base == context.tenancy_map.user_type
    {
        found.push(context.tenancy_map.user(Side::B, 0));
    }
    found
}

/// Returns what a row of B has in a column of the same name and type that is part of its key with others.
fn namesake(context: &ProbeContext<'_>, other: &Relation, column: &Column) -> Option<String> {
    let key = context.facts.primary_key(other.oid);
    let own = other.column(&column.name)?;
    let tells = key.len() > 1
        && key.contains(&own.name)
        && own.base == column.base
        && context.tenancy_map.tenant_column(other.oid) != Some(own.name.as_str());
    let row = context.row(other.oid, Side::B).filter(|_| tells)?;
    row.values.get(&own.name)?.clone()
}

/// Writes the steps of an attempt: what is there, the moves, what is there then.
fn steps<'a>(
    context: &ProbeContext<'_>,
    identity: &'a Identity,
    tables: &[&Relation],
    moves: impl Iterator<Item = &'a Move>,
) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = moves
        .map(|one| runner::need(RunAs::Request(identity), one.sql.clone()))
        .collect();
    steps.push(runner::change(
        RunAs::Owner,
        Sql::new("SET CONSTRAINTS ALL IMMEDIATE"),
    ));
    steps.extend(
        tables
            .iter()
            .map(|table| runner::read(RunAs::Request(identity), count(context, table))),
    );
    steps.extend(
        tables
            .iter()
            .map(|table| runner::read(RunAs::Owner, context.watch(&[table]))),
    );
    steps
}

/// Makes the attempts and gives the first that reached each table which nothing reached before.
async fn hits<'a>(
    context: &ProbeContext<'a>,
    identity: &Identity,
    moves: &[Move],
    attempts: &[Vec<usize>],
) -> Result<Vec<(Vec<usize>, &'a Relation, Reached)>> {
    let known: BTreeSet<&str> = context
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Leak)
        .flat_map(|one| std::iter::once(one.object.as_str()).chain(one.exposes.as_deref()))
        .collect();
    let tables: Vec<&Relation> = target_tables(context)
        .into_iter()
        .filter(|table| !known.contains(table.title().as_str()))
        .collect();
    let usable = |at: &usize| !known.contains(moves[*at].through.as_str());
    let attempts: Vec<&Vec<usize>> = attempts
        .iter()
        .filter(|one| one.iter().all(usable))
        .collect();
    if tables.is_empty() || attempts.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = vec![steps(context, identity, &tables, std::iter::empty())];
    all.extend(
        attempts
            .iter()
            .map(|one| steps(context, identity, &tables, one.iter().map(|at| &moves[*at]))),
    );
    let answers = runner::run(context.session, &all).await?;
    let usual = &answers[0];
    let mut found: Vec<(Vec<usize>, &Relation, Reached)> = Vec::new();
    for (attempt, came) in attempts.iter().zip(&answers[1..]) {
        for (at, table) in tables.iter().enumerate() {
            let Some(how) = outcome((usual, came), (attempt.len(), at, tables.len())) else {
                continue;
            };
            if !found.iter().any(|(_, other, _)| other.oid == table.oid) {
                found.push(((*attempt).clone(), table, how));
            }
        }
    }
    Ok(found)
}

fn outcome(
    (usual, came): (&[Answer], &[Answer]),
    (moves, at, tables): (usize, usize, usize),
) -> Option<Reached> {
    // A refused statement ends the attempt, and a shorter attempt shows the same.
    if came.len() < moves + 1 + 2 * tables || !came[..=moves].iter().all(Answer::ran) {
        return None;
    }
    let (seen, state) = (moves + 1 + at, moves + 1 + tables + at);
    if number(usual.get(1 + at)) == 0 && number(came.get(seen)) > 0 {
        return Some(Reached::Seen);
    }
    let was = usual
        .get(1 + tables + at)
        .and_then(|answer| answer.given.as_deref());
    let is = came.get(state).and_then(|answer| answer.given.as_deref());
    // The last part is rows without a tenant, which may be everybody's to write.
    let of_b = |text: &str| text.rsplit_once(' ').map(|(head, _)| head.to_owned());
    (of_b(was?) != of_b(is?)).then_some(Reached::Changed)
}

/// Leaves out every move without which the same is reached.
async fn shrink(
    context: &ProbeContext<'_>,
    identity: &Identity,
    moves: &[Move],
    (mut attempt, table, how): (Vec<usize>, &Relation, Reached),
) -> Result<Vec<usize>> {
    let mut at = 0;
    while attempt.len() > 1 && at < attempt.len() {
        let mut shorter = attempt.clone();
        shorter.remove(at);
        let tables = [table];
        let both = [
            steps(context, identity, &tables, std::iter::empty()),
            steps(
                context,
                identity,
                &tables,
                shorter.iter().map(|at| &moves[*at]),
            ),
        ];
        let answers = runner::run(context.session, &both).await?;
        if outcome((&answers[0], &answers[1]), (shorter.len(), 0, 1)) == Some(how) {
            attempt = shorter;
        } else {
            at += 1;
        }
    }
    Ok(attempt)
}

fn report(
    context: &mut ProbeContext<'_>,
    identity: &Identity,
    moves: &[Move],
    (table, how): (&Relation, Reached),
) {
    let Some(last) = moves.last() else { return };
    let command = match (how, last.verb) {
        (Reached::Seen, "insert") => "select_after_insert",
        (Reached::Seen, "update") => "select_after_update",
        (Reached::Seen, "delete") => "select_after_delete",
        (Reached::Seen, _) => "select_after_execute",
        (Reached::Changed, verb) => verb,
    };
    let class = match last.verb {
        "execute" => "D01",
        _ if last.joins => "B18",
        _ => "B34",
    };
    let through: BTreeSet<&str> = moves.iter().map(|one| one.through.as_str()).collect();
    let through = through.into_iter().collect::<Vec<_>>().join(", ");
    let came = match how {
        Reached::Seen => "rows of another tenant become visible",
        Reached::Changed => "rows of another tenant change",
    };
    let mut statements: Vec<Sql> = moves.iter().map(|one| one.sql.clone()).collect();
    if how == Reached::Seen {
        statements.push(Sql::fill("SELECT * FROM {}", &[&table.object()]));
    }
    let mut tables = vec![table.oid];
    tables.extend(
        context
            .facts
            .relations
            .values()
            .filter(|other| through.contains(&other.title()))
            .map(|other| other.oid),
    );
    let script = context.script(&tables, identity, &statements);
    context.leak(Leak {
        object: table.title(),
        command,
        identity,
        class,
        weight: Weight::Critical,
        why: format!("after writes that the caller can make through {through}, {came}: policies of {} trust data that the caller can write", table.title()),
        rows: None,
        exposes: None,
        script: Some(script),
        proven_by: ProvenBy::Probe,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        assert_eq!(attempts(9, 60, 7), attempts(9, 60, 7));
        assert_ne!(attempts(9, 60, 7), attempts(9, 60, 8));
        assert_eq!(attempts(9, 60, 7).len(), 60);
        assert_eq!(attempts(1, 60, 7), [[0]]);
        assert_eq!(attempts(9, 0, 7).len(), 0);
    }

    #[test]
    fn a_refused_move_reaches_nothing() {
        let ran = |given: &str| Answer {
            given: Some(given.to_owned()),
            ..Answer::default()
        };
        let refused = Answer {
            code: Some("42501".to_owned()),
            ..Answer::default()
        };
        let usual = [ran(""), ran("0"), ran("t 1 x n")];
        let seen = [ran(""), ran(""), ran("2"), ran("t 1 x n")];
        assert!(outcome((&usual, &seen), (1, 0, 1)) == Some(Reached::Seen));
        let unowned_rows = [ran(""), ran(""), ran("0"), ran("t 1 x m")];
        assert!(outcome((&usual, &unowned_rows), (1, 0, 1)).is_none());
        assert!(outcome((&usual, &[refused]), (1, 0, 1)).is_none());
    }
}
