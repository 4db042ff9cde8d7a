//! Inserts the planned rows into the shadow database and drops constraints that prevent it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;
use tokio_postgres::types::Type;

use crate::pg::session::Session;
use crate::probed_schema::Relation;
use crate::seed::plan::{SeedPlan, SeedRow, SeedStage};
use crate::seed::tenancy_map::TenancyMap;
use crate::seed::values::Value;
use crate::sql::name::{Ident, Literal, ObjectName};
use crate::sql::safe::Sql;

/// What could not be done, and what was lifted to do the rest.
#[derive(Debug, Default)]
pub(crate) struct SeedResult {
    /// Tables without rows and why.
    pub(crate) unfilled: BTreeMap<i64, String>,
    /// Constraints lifted in the copy.
    pub(crate) lifted: BTreeSet<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InsertAnswer {
    stored: Option<serde_json::Value>,
    code: Option<String>,
    words: Option<String>,
    constraint: Option<String>,
}

/// How a row is tried the next time.
#[derive(Clone, Copy, Debug, Default)]
struct InsertMode {
    tries: usize,
    quiet: bool,
    bare: bool,
    lean: bool,
    given_up: bool,
}

/// Puts in the rows of a stage.
pub(crate) async fn stage(
    session: &Session,
    tenancy_map: &TenancyMap<'_>,
    plan: &mut SeedPlan,
    at: SeedStage,
    filled: &mut SeedResult,
) -> Result<()> {
    let mut modes: BTreeMap<usize, InsertMode> = (0..plan.rows.len())
        .filter(|row| plan.rows[*row].stage == at)
        .map(|row| (row, InsertMode::default()))
        .collect();
    for _ in 0..7 {
        let open: Vec<usize> = modes
            .iter()
            .filter(|(row, mode)| !plan.rows[**row].stored && !mode.given_up)
            .map(|(row, _)| *row)
            .collect();
        if open.is_empty() {
            break;
        }
        let statements: Vec<serde_json::Value> = open
            .iter()
            .map(|row| {
                let mode = modes[row];
                let table = &tenancy_map.facts.relations[&plan.rows[*row].table];
                let sql = statement(table, &plan.rows[*row].values, mode);
                let (column, tenant) = whose(tenancy_map, &plan.rows[*row]).unzip();
                json!({ "sql": sql.as_str(), "quiet": mode.quiet, "bare": mode.bare, "column": column, "tenant": tenant })
            })
            .collect();
        let answer = session
            .query_one(
                "SELECT pg_temp.af_fill($1)",
                &[(&serde_json::Value::from(statements), Type::JSONB)],
            )
            .await
            .context("inserting test rows")?;
        let answers: Vec<InsertAnswer> =
            serde_json::from_value(answer.get(0)).context("reading the results of the inserts")?;
        for (row, answer) in open.into_iter().zip(answers) {
            let mode = modes.entry(row).or_default();
            mode.tries += 1;
            if let Some(stored) = answer.stored {
                keep(&mut plan.rows[row].values, &stored);
                plan.rows[row].stored = true;
                continue;
            }
            let table = &tenancy_map.facts.relations[&plan.rows[row].table];
            if plan.rows[row].usual {
                mend(session, table, mode, &answer, filled).await?;
            } else {
                // A variant that the schema itself refuses cannot exist; only its parents may still be on their way.
                let orphan = answer.code.as_deref() == Some("23503");
                mode.given_up = mode.tries > 2 || !orphan;
                // What B shares comes before what it does not, its parents included.
                mode.quiet |= orphan && at == SeedStage::Shared;
            }
            if mode.given_up || mode.tries >= 7 {
                let reason = answer
                    .words
                    .unwrap_or_else(|| "a trigger discarded the row".to_owned());
                filled.unfilled.entry(table.oid).or_insert(reason);
            }
        }
    }
    forget_filled(plan, filled);
    Ok(())
}

/// Returns the tenant column and its expected value, for a row that belongs to a tenant.
fn whose<'a>(tenancy_map: &'a TenancyMap<'_>, row: &'a SeedRow) -> Option<(&'a str, &'a str)> {
    let column = tenancy_map.tenant_column(row.table)?;
    let tenant = row.values.get(column)?.as_deref()?;
    Some((column, tenant))
}

/// A table that has at least one usual row of each side it needs is filled after all.
fn forget_filled(plan: &SeedPlan, filled: &mut SeedResult) {
    filled.unfilled.retain(|table, _| {
        let mut sides = BTreeMap::new();
        for row in plan
            .rows
            .iter()
            .filter(|row| row.table == *table && row.usual)
        {
            *sides.entry(row.side).or_insert(false) |= row.stored;
        }
        sides.values().any(|stored| !stored)
    });
}

async fn mend(
    session: &Session,
    table: &Relation,
    mode: &mut InsertMode,
    answer: &InsertAnswer,
    filled: &mut SeedResult,
) -> Result<()> {
    let code = answer.code.as_deref().unwrap_or("");
    let words = answer.words.as_deref().unwrap_or("");
    match code {
        "23503" if mode.tries < 2 => {}
        "23514" if words.contains("no partition") => {
            let rest = ObjectName::new(table.schema.clone(), format!("af_db_rest_{}", table.oid));
            // Refused where one exists already; the row is then tried once more and given up.
            let made = session
                .run(&Sql::fill(
                    "CREATE TABLE {} PARTITION OF {} DEFAULT",
                    &[&rest, &table.object()],
                ))
                .await;
            mode.given_up = made.is_err() && mode.tries > 2;
        }
        "23514" => match &answer.constraint {
            Some(name) if mode.tries < 6 => {
                lift(session, table, name, words).await?;
                filled.lifted.insert(format!("{}: {name}", table.title()));
            }
            _ => mode.given_up = true,
        },
        "23505" | "23P01" => mode.given_up = true,
        "0A000" if !mode.bare => mode.bare = true,
        _ if code.starts_with("22") && !mode.lean => mode.lean = true,
        _ if !mode.quiet => mode.quiet = true,
        _ if !mode.lean => mode.lean = true,
        _ => mode.given_up = true,
    }
    Ok(())
}

/// Removes a check from the copy: of a table or of a domain.
async fn lift(session: &Session, table: &Relation, name: &str, words: &str) -> Result<()> {
    let constraint = Ident::new(name);
    let sql = if words.contains("domain") {
        let Some(column) = table.columns.iter().find(|column| {
            column.checks.iter().flatten().count() > 0
                && words.contains(column.type_name.rsplit('.').next().unwrap_or(""))
        }) else {
            return Ok(());
        };
        Sql::fill(
            "ALTER DOMAIN {} DROP CONSTRAINT IF EXISTS {}",
            &[
                &Sql::printed_by_server(column.type_name.clone()),
                &constraint,
            ],
        )
    } else {
        Sql::fill(
            "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
            &[&table.object(), &constraint],
        )
    };
    // Where it cannot be lifted the row is refused again and the table is said to be unfilled.
    let _ = session.run(&sql).await;
    Ok(())
}

/// Stores the values that defaults and triggers gave a row.
fn keep(values: &mut BTreeMap<String, Value>, stored: &serde_json::Value) {
    let Some(stored) = stored.as_object() else {
        return;
    };
    for (name, value) in stored {
        let text = match value {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) => Some(text.clone()),
            // Arrays and documents keep the text we gave.
            serde_json::Value::Array(_) | serde_json::Value::Object(_)
                if values.contains_key(name) =>
            {
                continue;
            }
            serde_json::Value::Array(_) => continue,
            other => Some(other.to_string()),
        };
        values.insert(name.clone(), text);
    }
}

fn statement(table: &Relation, values: &BTreeMap<String, Value>, mode: InsertMode) -> Sql {
    let given: BTreeMap<String, Value> = values
        .iter()
        .filter(|(name, _)| {
            let column = table.column(name);
            !mode.lean
                || column.is_some_and(|column| column.required && column.default.is_none())
                || is_plain(column.map_or("", |column| &column.base))
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut sql = insert(table, &given);
    if !mode.bare {
        sql.push(" RETURNING pg_catalog.to_jsonb(t)");
    }
    sql
}

fn is_plain(base: &str) -> bool {
    matches!(
        base,
        "int2" | "int4" | "int8" | "uuid" | "text" | "varchar" | "bool" | "timestamptz" | "date"
    )
}

/// Writes the statement that inserts a row; the row is known as `t`.
pub(crate) fn insert(table: &Relation, values: &BTreeMap<String, Value>) -> Sql {
    let given: Vec<_> = table
        .columns
        .iter()
        .filter(|column| !column.generated)
        .filter_map(|column| Some((column, values.get(&column.name)?)))
        .collect();
    if given.is_empty() {
        return Sql::fill("INSERT INTO {} AS t DEFAULT VALUES", &[&table.object()]);
    }
    let names = Sql::join(
        given
            .iter()
            .map(|(column, _)| Ident::new(column.name.as_str())),
        ", ",
    );
    let items = Sql::join(
        given
            .iter()
            .map(|(column, value)| literal(value, &column.type_name)),
        ", ",
    );
    // Views take no OVERRIDING for columns that number themselves below them.
    let template = if table.is_table() {
        "INSERT INTO {} AS t ({}) OVERRIDING SYSTEM VALUE VALUES ({})"
    } else {
        "INSERT INTO {} AS t ({}) VALUES ({})"
    };
    Sql::fill(template, &[&table.object(), &names, &items])
}

/// Writes a value of a type.
pub(crate) fn literal(value: &Value, type_name: &str) -> Sql {
    match value {
        None => Sql::new("NULL"),
        Some(text) => Sql::fill(
            "{}::{}",
            &[
                &Literal::new(text.as_str()),
                &Sql::printed_by_server(type_name),
            ],
        ),
    }
}
