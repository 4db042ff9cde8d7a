//! Finds rows that make a condition true: candidates for its columns, of which PostgreSQL says which satisfy it.
//!
//! A condition is taken apart into its alternatives; what asks about the tenant or the request is left out of each, the
//! rest is tried on every combination of the candidates at once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::expression_text;
use crate::formula::Formula;
use crate::probed_schema::{Column, Relation};
use crate::runner::{self, ProbeSession, RunAs};
use crate::seed::candidates;
use crate::seed::row_variants;
use crate::seed::tenancy_map::TenancyMap;
use crate::seed::values::Value;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::Sql;

/// Values of some columns that make an alternative of a condition true, by table.
pub(crate) type SolvedRows = BTreeMap<i64, Vec<BTreeMap<String, Value>>>;

/// More alternatives of one condition than this are not looked at.
const ALTERNATIVES: usize = 16;

/// Columns that may take part in one alternative.
const COLUMNS: usize = 5;

/// One alternative of a condition, asked of the server.
struct SolverQuery<'a> {
    table: &'a Relation,
    columns: Vec<&'a Column>,
    sql: Sql,
}

/// Finds values for every condition on the rows of every table.
pub(crate) async fn solve(
    probe_session: &ProbeSession<'_>,
    tenancy_map: &TenancyMap<'_>,
) -> Result<SolvedRows> {
    let mut questions = Vec::new();
    for table in tenancy_map.order() {
        let mut known = BTreeSet::new();
        for (condition, alias) in conditions(tenancy_map, table) {
            let Some(alternatives) = Formula::read(&condition).alternatives(ALTERNATIVES) else {
                continue;
            };
            for atoms in alternatives {
                let local: Vec<&str> = atoms
                    .iter()
                    .map(String::as_str)
                    .filter(|atom| is_local(tenancy_map, table, atom))
                    .collect();
                if !local.is_empty() && known.insert(local.join(" AND ")) {
                    questions.extend(ask(tenancy_map, table, &alias, &local));
                }
            }
        }
    }
    let attempts: Vec<_> = questions
        .iter()
        .map(|question| vec![runner::read(RunAs::Owner, question.sql.clone())])
        .collect();
    let answers = runner::run(probe_session, &attempts).await?;
    let mut solved = SolvedRows::new();
    for (question, steps) in questions.iter().zip(answers) {
        let given = steps.first().and_then(|answer| answer.given.as_deref());
        let rows: Vec<Vec<Value>> = given
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let of_table = solved.entry(question.table.oid).or_default();
        for row in rows {
            let names = question.columns.iter().map(|column| column.name.clone());
            of_table.push(names.zip(row).collect());
        }
    }
    Ok(solved)
}

/// Returns what decides which rows of a table are seen, with the name the table has in it.
fn conditions(tenancy_map: &TenancyMap<'_>, table: &Relation) -> Vec<(String, String)> {
    let policies = tenancy_map.facts.policies_of(table.oid);
    let mut found: Vec<(String, String)> = policies
        .flat_map(|policy| [policy.using.clone(), policy.check.clone()])
        .flatten()
        .map(|condition| (condition, table.name.clone()))
        .collect();
    let views = tenancy_map.facts.relations.values();
    for view in views.filter(|view| view.is_view() && view.reads == [table.oid]) {
        found.extend(view.definition.as_deref().and_then(filter_of));
    }
    found
}

/// Returns the condition of a plain query and the name its table has there.
fn filter_of(definition: &str) -> Option<(String, String)> {
    let (head, filter) = definition.rsplit_once("WHERE ")?;
    let (_, from) = head.rsplit_once("FROM ")?;
    let mut from = from.split_whitespace();
    let table = from.next()?.rsplit('.').next()?;
    let alias = from.next().unwrap_or(table).trim_matches('"').to_owned();
    let ends = [" GROUP BY", " ORDER BY", " LIMIT", " OFFSET", ";"];
    let end = ends.iter().filter_map(|end| filter.find(end)).min();
    let condition = &filter[..end.unwrap_or(filter.len())];
    Some((condition.trim().to_owned(), alias))
}

/// Whether an atom asks about the row alone, not about who asks or about other tables.
fn is_local(tenancy_map: &TenancyMap<'_>, table: &Relation, atom: &str) -> bool {
    let lower = atom.to_lowercase();
    let asks = [
        "select ",
        "current_setting",
        "auth.",
        "session_user",
        "current_user",
    ];
    let tenant = tenancy_map.tenant_column(table.oid);
    !asks.iter().any(|word| lower.contains(word))
        && !tenant.is_some_and(|name| expression_text::mentions(atom, name))
        && table
            .columns
            .iter()
            .any(|column| expression_text::mentions(atom, &column.name))
}

fn ask<'a>(
    tenancy_map: &TenancyMap<'_>,
    table: &'a Relation,
    alias: &str,
    atoms: &[&str],
) -> Option<SolverQuery<'a>> {
    let needed = |column: &&Column| {
        let of_generated = table.columns.iter().any(|other| {
            other.generated
                && atoms
                    .iter()
                    .any(|atom| expression_text::mentions(atom, &other.name))
                && other
                    .default
                    .as_deref()
                    .is_some_and(|text| expression_text::mentions(text, &column.name))
        });
        of_generated
            || atoms
                .iter()
                .any(|atom| expression_text::mentions(atom, &column.name))
    };
    let columns: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| !column.generated)
        .filter(needed)
        .collect();
    // A key stays as it is: what points to it does, too.
    let (keys, columns): (Vec<&Column>, Vec<&Column>) = columns
        .into_iter()
        .partition(|column| row_variants::is_pinned(tenancy_map, table, column));
    if columns.is_empty() || columns.len() > COLUMNS || !keys.is_empty() && atoms.len() == 1 {
        return None;
    }
    let atoms: Vec<&str> = atoms
        .iter()
        .copied()
        .filter(|atom| {
            !keys
                .iter()
                .any(|key| expression_text::mentions(atom, &key.name))
        })
        .collect();
    if atoms.is_empty() {
        return None;
    }
    let texts = candidates::texts(tenancy_map, table, &atoms);
    let mut sources = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let pool = candidates::pool(tenancy_map, column, &texts);
        if pool.is_empty() {
            return None;
        }
        let base = Sql::printed_by_server(column.base_type.as_str());
        let items = Sql::join(
            pool.iter().map(|value| match value {
                None => Sql::fill("(NULL::{})", &[&base]),
                Some(text) => Sql::fill("({}::{})", &[&Literal::new(text.as_str()), &base]),
            }),
            ", ",
        );
        let name = Ident::new(format!("c{number}"));
        sources.push(Sql::fill(
            "(VALUES {}) AS {} ({})",
            &[&items, &name, &Ident::new(column.name.as_str())],
        ));
    }
    Some(SolverQuery {
        table,
        sql: question(
            table,
            alias,
            (&columns, &sources),
            &checked(tenancy_map, table, &columns, &atoms),
        ),
        columns,
    })
}

/// Adds the table's own checks on these columns: a row that they refuse cannot exist.
fn checked(
    tenancy_map: &TenancyMap<'_>,
    table: &Relation,
    columns: &[&Column],
    atoms: &[&str],
) -> Vec<String> {
    let mut all: Vec<String> = atoms.iter().map(|atom| (*atom).to_owned()).collect();
    let checks = tenancy_map.facts.constraints.iter();
    for check in checks.filter(|check| check.table == table.oid && check.kind == "c") {
        let within = check
            .columns
            .iter()
            .all(|name| columns.iter().any(|column| column.name == *name));
        let text = check.definition.strip_prefix("CHECK ");
        if let (true, Some(text)) = (within, text) {
            let text = text
                .trim_end_matches(" NOT VALID")
                .trim_end_matches(" NO INHERIT");
            all.push(format!("({text}) IS NOT FALSE"));
        }
    }
    all
}

fn question(
    table: &Relation,
    alias: &str,
    (columns, sources): (&[&Column], &[Sql]),
    conditions: &[String],
) -> Sql {
    let given = Sql::join(
        columns
            .iter()
            .map(|column| Sql::fill("{}::text", &[&Ident::new(column.name.as_str())])),
        ", ",
    );
    let generated = table.columns.iter().filter(|column| column.generated);
    let computed: Vec<Sql> = generated
        .filter(|column| {
            conditions
                .iter()
                .any(|text| expression_text::mentions(text, &column.name))
        })
        .filter_map(|column| {
            let expression = Sql::printed_by_server(column.default.as_deref()?);
            Some(Sql::fill(
                ", ({}) AS {}",
                &[&expression, &Ident::new(column.name.as_str())],
            ))
        })
        .collect();
    let holds = Sql::join(
        conditions
            .iter()
            .map(|text| Sql::fill("({})", &[&Sql::printed_by_server(text.as_str())])),
        " AND ",
    );
    Sql::fill(
        "SELECT pg_catalog.json_agg(x.r)::text FROM (SELECT pg_catalog.json_build_array({}) AS r FROM (SELECT *{} FROM {}) AS {} WHERE {} LIMIT 4) AS x",
        &[
            &given,
            &Sql::join(computed, ""),
            &Sql::join(sources.iter().cloned(), " CROSS JOIN "),
            &Ident::new(alias),
            &holds,
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_a_plain_view_is_read() {
        let check = |text: &str, condition: &str, alias: &str| {
            assert_eq!(
                filter_of(text),
                Some((condition.to_owned(), alias.to_owned())),
                "{text}"
            );
        };
        check(
            " SELECT docs.id\n   FROM docs\n  WHERE (docs.a > 1);",
            "(docs.a > 1)",
            "docs",
        );
        check(
            " SELECT d.id\n   FROM public.docs d\n  WHERE (d.a > 1)\n  GROUP BY d.id;",
            "(d.a > 1)",
            "d",
        );
        assert_eq!(filter_of(" SELECT 1 FROM docs;"), None);
    }
}
