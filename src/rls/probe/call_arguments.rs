//! Arguments for function calls: keys of B's rows, marks, enum labels, names of settings, SQL injection.

use crate::expression_text;
use crate::probe::context::ProbeContext;
use crate::probe::function_calls::reaches_out;
use crate::probed_schema::{Argument, Function, Relation};
use crate::seed::insert;
use crate::seed::tenancy_map::Side;
use crate::seed::values::mark;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

/// Never more calls of one function by one request than this.
const MOST: usize = 18;

/// Writes the calls of a function: each argument takes each of its candidates while the others keep their first.
pub(super) fn statements(context: &ProbeContext<'_>, function: &Function) -> Vec<(Sql, bool)> {
    let candidates: Vec<Vec<(Sql, bool)>> = function
        .arguments
        .iter()
        .map(|argument| candidates(context, function, argument))
        .collect();
    if candidates.iter().any(Vec::is_empty) {
        return Vec::new();
    }
    let mut calls: Vec<(Sql, bool)> = tuples(context, function, &candidates)
        .into_iter()
        .map(|tuple| written(function, &tuple))
        .collect();
    let mut chosen: Vec<Vec<usize>> = vec![vec![0; candidates.len()]];
    let longest = candidates.iter().map(Vec::len).max().unwrap_or(0);
    for rank in 1..longest {
        for place in 0..candidates.len() {
            if rank < candidates[place].len() {
                let mut one = vec![0; candidates.len()];
                one[place] = rank;
                chosen.push(one);
            }
        }
        if candidates.len() > 1 {
            chosen.push(candidates.iter().map(|own| rank % own.len()).collect());
        }
    }
    calls.extend(chosen.into_iter().map(|ranks| {
        let tuple: Vec<(Sql, bool)> = ranks
            .iter()
            .zip(&candidates)
            .map(|(rank, own)| own[*rank].clone())
            .collect();
        written(function, &tuple)
    }));
    let mut seen = std::collections::BTreeSet::new();
    calls.retain(|(sql, _)| seen.insert(sql.as_str().to_owned()));
    calls.truncate(MOST);
    calls
}

/// Writes one call, and whether any of its arguments is an unguessable key.
fn written(function: &Function, tuple: &[(Sql, bool)]) -> (Sql, bool) {
    let arguments = Sql::join(tuple.iter().map(|(sql, _)| sql.clone()), ", ");
    let drawn = tuple.iter().any(|(_, drawn)| *drawn);
    (call(function, &arguments), drawn)
}

/// Returns arguments that fit together: all from one row of B, each by the name or the type of a column.
fn tuples(
    context: &ProbeContext<'_>,
    function: &Function,
    candidates: &[Vec<(Sql, bool)>],
) -> Vec<Vec<(Sql, bool)>> {
    if candidates.len() < 2 {
        return Vec::new();
    }
    let mut tables = context.tenant_tables();
    tables.retain(|table| !table.is_partition);
    tables.sort_by_key(|table| !expression_text::mentions(function.body(), &table.name));
    let rows = tables.into_iter().take(3).filter_map(|table| {
        let row = context.row(table.oid, Side::B).or_else(|| {
            let rows = context.plan.rows.iter();
            rows.into_iter()
                .find(|row| row.table == table.oid && row.side == Side::B && row.usual)
        })?;
        Some((table, row))
    });
    rows.map(|(table, row)| {
        let keys = context.facts.primary_key(table.oid);
        let mut left: Vec<&crate::probed_schema::Column> = table.columns.iter().collect();
        left.sort_by_key(|column| !keys.contains(&column.name));
        let arguments = function.arguments.iter().zip(candidates);
        let taken = arguments.map(|(argument, own)| {
            let named = |column: &&crate::probed_schema::Column| {
                let name = argument.name.trim_start_matches("p_").trim_matches('_');
                !name.is_empty()
                    && (column.name == name || name.ends_with(&format!("_{}", column.name)))
            };
            let fits = |column: &&crate::probed_schema::Column| column.base == argument.base;
            let at = left
                .iter()
                .position(|column| fits(column) && named(column))
                .or_else(|| left.iter().position(fits));
            let value = at.and_then(|at| row.values.get(&left.remove(at).name).cloned().flatten());
            value.map_or_else(
                || own[0].clone(),
                |value| {
                    let typed = Sql::printed_by_server(argument.type_name.clone());
                    let sql = Sql::fill("{}::{}", &[&Literal::new(value), &typed]);
                    (sql, argument.base == "uuid")
                },
            )
        });
        taken.collect()
    })
    .collect()
}

/// Returns a few calls of a function that reads.
pub(crate) fn some(context: &ProbeContext<'_>, function: &Function) -> Vec<Sql> {
    if function.kind == "p" || reaches_out(context, function) {
        return Vec::new();
    }
    statements(context, function)
        .into_iter()
        .take(4)
        .map(|(sql, _)| sql)
        .collect()
}

fn call(function: &Function, arguments: &Sql) -> Sql {
    if function.kind == "p" {
        return Sql::fill("CALL {}({})", &[&function.object(), arguments]);
    }
    if function.result_kind == "refcursor" {
        // What a cursor gives is decided by who opened it.
        return Sql::fill(
            "SELECT coalesce(pg_catalog.json_agg(x.r)::text, '[]') FROM (SELECT pg_catalog.cursor_to_xml(f, 500, true, false, '')::text AS r FROM {}({}) AS f) AS x",
            &[&function.object(), arguments],
        );
    }
    Sql::fill(
        "SELECT coalesce(pg_catalog.json_agg(x.r ORDER BY x.r)::text, '[]') FROM (SELECT f::text AS r FROM {}({}) AS f LIMIT 500) AS x",
        &[&function.object(), arguments],
    )
}

fn candidates(
    context: &ProbeContext<'_>,
    function: &Function,
    argument: &Argument,
) -> Vec<(Sql, bool)> {
    if let Some(relation) = argument
        .relation
        .and_then(|oid| context.facts.relations.get(&oid))
    {
        return [Side::B, Side::A]
            .into_iter()
            .filter_map(|side| row(context, relation, side))
            .map(|sql| (sql, true))
            .collect();
    }
    let texts = if argument.kind == "c" {
        Vec::new()
    } else {
        texts(context, function, argument)
    };
    let typed = Sql::printed_by_server(argument.type_name.clone());
    let mut seen = std::collections::BTreeSet::new();
    let mut found: Vec<(Sql, bool)> = texts
        .into_iter()
        .filter(|text| seen.insert(text.clone()))
        .map(|text| {
            (
                Sql::fill("{}::{}", &[&Literal::new(text), &typed]),
                argument.base == "uuid",
            )
        })
        .collect();
    if found.is_empty() && argument.kind != "p" {
        found.push((Sql::fill("NULL::{}", &[&typed]), false));
    }
    let is_last = function
        .arguments
        .last()
        .is_some_and(|last| last.name == argument.name);
    if is_last && function.identity.contains("VARIADIC ") {
        for (sql, _) in &mut found {
            *sql = Sql::fill("VARIADIC {}", &[&*sql]);
        }
    }
    found
}

/// A row of a side as a caller would write it who knows its key; what else is in it the caller makes up.
fn row(context: &ProbeContext<'_>, relation: &Relation, side: Side) -> Option<Sql> {
    let of = |row: &&crate::seed::plan::SeedRow| {
        row.table == relation.oid && row.side == side && row.usual
    };
    let row = context.plan.rows.iter().find(of)?;
    let items = relation.columns.iter().map(|column| {
        insert::literal(
            &row.values.get(&column.name).cloned().flatten(),
            &column.type_name,
        )
    });
    Some(Sql::fill(
        "ROW({})::{}",
        &[&Sql::join(items, ", "), &relation.object()],
    ))
}

fn texts(context: &ProbeContext<'_>, function: &Function, argument: &Argument) -> Vec<String> {
    let key = context.tenancy_map.key(Side::B, 0).unwrap_or_default();
    let user = context.tenancy_map.user(Side::B, 0);
    if let Some(labels) = &argument.labels {
        let all = format!(
            "{{{}}}",
            labels
                .iter()
                .map(|label| quoted(label))
                .collect::<Vec<_>>()
                .join(",")
        );
        return match argument.base.starts_with('_') {
            true => vec![all, "{}".to_owned()],
            false => labels.clone(),
        };
    }
    match argument.kind.as_str() {
        "r" => return ["(,)", "empty"].map(str::to_owned).to_vec(),
        "m" => return ["{(,)}", "{}"].map(str::to_owned).to_vec(),
        _ => {}
    }
    let mut found: Vec<String> = Vec::new();
    match argument.base.as_str() {
        "bool" => found.extend(["true", "false"].map(str::to_owned)),
        "date" | "timestamp" | "timestamptz" => {
            found.extend(["2101-01-01", "2001-01-01"].map(str::to_owned))
        }
        "interval" => found.push("1 day".to_owned()),
        "json" | "jsonb" => found.extend(documents(context, function)),
        "uuid" | "int2" | "int4" | "int8" | "numeric" => {
            let whole = argument.base != "uuid";
            let fits = |text: &String| {
                if whole {
                    text.parse::<i64>().is_ok()
                } else {
                    text.len() == 36
                }
            };
            let by_tenant = named_for_tenant(context, &argument.name);
            let own: Vec<String> = [key, user].into_iter().filter(fits).collect();
            let rows: Vec<String> = keys(context, function, &argument.name)
                .into_iter()
                .filter(fits)
                .collect();
            found.extend(if by_tenant {
                [own, rows].concat()
            } else {
                [rows, own].concat()
            });
            if whole {
                found.extend(["1", "0", "1000000"].map(str::to_owned));
            }
        }
        "regclass" => found.extend(
            tables(context, function)
                .iter()
                .map(|one| one.object().to_string()),
        ),
        base if base.starts_with('_') => found.extend(arrays(context, function, argument)),
        _ => found.extend(words_to_say(context, function, argument)),
    }
    found.truncate(12);
    found
}

/// Writes an item of an array.
fn quoted(item: &str) -> String {
    format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Arrays of what an element may be, the tenant's own key first where the name or the table says that it is one.
fn arrays(context: &ProbeContext<'_>, function: &Function, argument: &Argument) -> Vec<String> {
    let element = Argument {
        base: argument.base.trim_start_matches('_').to_owned(),
        type_name: argument.type_name.trim_end_matches("[]").to_owned(),
        kind: "b".to_owned(),
        ..argument.clone()
    };
    let items: Vec<String> = texts(context, function, &element)
        .into_iter()
        .map(|item| quoted(&item))
        .collect();
    let first = items.first().map(|item| format!("{{{item}}}"));
    let all = format!("{{{}}}", items.join(","));
    first.into_iter().chain([all, "{}".to_owned()]).collect()
}

/// Tables of tenants, those that the function names first.
fn tables<'a>(context: &ProbeContext<'a>, function: &Function) -> Vec<&'a Relation> {
    let mut tables = context.tenant_tables();
    tables.sort_by_key(|table| !expression_text::mentions(function.body(), &table.name));
    tables.truncate(4);
    tables
}

fn named_for_tenant(context: &ProbeContext<'_>, name: &str) -> bool {
    let stem = context.tenancy_map.tenancy.column.trim_end_matches("_id");
    !stem.is_empty() && name.contains(stem) || name.contains("tenant") || name.contains("org")
}

/// Keys of B's rows, those of tables that the function names first.
fn keys(context: &ProbeContext<'_>, function: &Function, name: &str) -> Vec<String> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for table in context.tenant_tables() {
        let named = expression_text::mentions(function.body(), &table.name)
            || !name.is_empty() && name.contains(table.name.trim_end_matches('s'));
        for row in context
            .plan
            .rows
            .iter()
            .filter(|row| row.table == table.oid && row.side == Side::B && row.usual)
            .take(1)
        {
            for column in context.facts.primary_key(table.oid) {
                found.extend(
                    row.values
                        .get(&column)
                        .cloned()
                        .flatten()
                        .map(|value| (!named, value)),
                );
            }
        }
    }
    found.sort();
    found.dedup_by(|one, other| one.1 == other.1);
    found.into_iter().map(|(_, value)| value).take(8).collect()
}

/// Documents with the keys that the body asks for, each holding a key of B's.
fn documents(context: &ProbeContext<'_>, function: &Function) -> Vec<String> {
    let tenant = context.tenancy_map.key(Side::B, 0).unwrap_or_default();
    let mut asked = expression_text::read(function.body()).keys;
    asked.insert("id".to_owned());
    let mut values = keys(context, function, "");
    values.truncate(5);
    values.extend([tenant.clone(), context.tenancy_map.user(Side::B, 0)]);
    let mut found: Vec<String> = values
        .into_iter()
        .map(|value| {
            let mut document: serde_json::Map<String, serde_json::Value> = asked
                .iter()
                .map(|key| (key.clone(), value.clone().into()))
                .collect();
            document.insert(
                context.tenancy_map.tenancy.column.clone(),
                tenant.clone().into(),
            );
            serde_json::Value::from(document).to_string()
        })
        .collect();
    found.push("{}".to_owned());
    found
}

/// What a caller may put into a text: B's key, parts of its rows, names of settings, and text that breaks out of quotes.
fn words_to_say(
    context: &ProbeContext<'_>,
    function: &Function,
    argument: &Argument,
) -> Vec<String> {
    let key = context.tenancy_map.key(Side::B, 0).unwrap_or_default();
    let mut found = Vec::new();
    let body = function.body().to_lowercase();
    let table = context
        .tenant_tables()
        .into_iter()
        .find(|table| expression_text::mentions(function.body(), &table.name));
    if body.contains("set_config")
        && (argument.name.contains("name")
            || argument.name.contains("key")
            || argument.name.contains("setting"))
    {
        found.extend(context.tenancy_map.tenancy.setting.clone());
    }
    if body.contains("execute") {
        let test = table.map_or_else(
            || "true".to_owned(),
            |table| {
                Sql::fill(
                    "(SELECT pg_catalog.count(*) FROM {} AS t WHERE {}) > 0",
                    &[
                        &table.object(),
                        &context.tenancy_map.is_of(table.oid, "t", 1, 0),
                    ],
                )
                .to_string()
            },
        );
        found.extend([
            "' OR true --".to_owned(),
            "%' OR true --".to_owned(),
            "true".to_owned(),
            "1 OR true".to_owned(),
            format!("1/(CASE WHEN {test} THEN 0 ELSE 1 END)"),
            format!("' OR 1/(CASE WHEN {test} THEN 0 ELSE 1 END) = 1 --"),
        ]);
        found.extend(table.map(|table| table.title()));
        found.extend(table.map(|table| table.name.clone()));
        found.extend(
            table.map(|table| Sql::fill("SELECT * FROM {}", &[&table.object()]).to_string()),
        );
        found.extend(
            table
                .and_then(|table| table.columns.first())
                .map(|column| column.name.clone()),
        );
    }
    // What is put into a statement as a name may be the name of any table, in any schema.
    if body.contains("execute") && body.contains("%i") || argument.name.contains("table") {
        let named = tables(context, function);
        let of_schema = argument.name.contains("schema") || argument.name.contains("nsp");
        found.splice(
            0..0,
            named.iter().map(|table| {
                if of_schema {
                    table.schema.clone()
                } else {
                    table.name.clone()
                }
            }),
        );
    }
    if context.tenancy_map.user_type == "text" || named_for_tenant(context, &argument.name) {
        found.insert(0, key.clone());
    }
    found.extend([key, mark(Side::B).to_owned(), "%".to_owned(), String::new()]);
    found.extend(context.tenancy_map.tenancy.setting.clone());
    found.extend(keys(context, function, &argument.name).into_iter().take(2));
    found.push(
        serde_json::json!({ "sub": context.tenancy_map.user(Side::B, 0), "role": "service_role" })
            .to_string(),
    );
    found.push("service_role".to_owned());
    found
}
