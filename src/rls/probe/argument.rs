//! Owns the arguments of calls: keys of B's rows, marks, labels, names of settings, text that breaks out of quotes.

use crate::rls::facts::{Argument, Function, Relation};
use crate::rls::fill::ground::Side;
use crate::rls::fill::insert;
use crate::rls::fill::value::mark;
use crate::rls::probe::call::reaches_out;
use crate::rls::probe::stand::Stand;
use crate::rls::words;
use crate::sql::name::Literal;
use crate::sql::safe::Sql;

/// Never more calls of one function by one request than this.
const MOST: usize = 18;

/// Writes the calls of a function: each argument takes each of its candidates while the others keep their first.
pub(super) fn statements(stand: &Stand<'_>, function: &Function) -> Vec<(Sql, bool)> {
    let candidates: Vec<Vec<(Sql, bool)>> = function
        .arguments
        .iter()
        .map(|argument| candidates(stand, function, argument))
        .collect();
    if candidates.iter().any(Vec::is_empty) {
        return Vec::new();
    }
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
    chosen.truncate(MOST);
    chosen
        .into_iter()
        .map(|ranks| {
            let given: Vec<&(Sql, bool)> = ranks
                .iter()
                .zip(&candidates)
                .map(|(rank, own)| &own[*rank])
                .collect();
            let drawn = given.iter().any(|(_, drawn)| *drawn);
            (
                call(
                    function,
                    &Sql::join(given.into_iter().map(|(sql, _)| sql.clone()), ", "),
                ),
                drawn,
            )
        })
        .collect()
}

/// Gives a few calls of a function that reads.
pub(in crate::rls) fn some(stand: &Stand<'_>, function: &Function) -> Vec<Sql> {
    if function.kind == "p" || reaches_out(stand, function) {
        return Vec::new();
    }
    statements(stand, function)
        .into_iter()
        .take(4)
        .map(|(sql, _)| sql)
        .collect()
}

fn call(function: &Function, arguments: &Sql) -> Sql {
    if function.kind == "p" {
        return Sql::fill("CALL {}({})", &[&function.object(), arguments]);
    }
    Sql::fill(
        "SELECT coalesce(pg_catalog.json_agg(x.r ORDER BY x.r)::text, '[]') FROM (SELECT f::text AS r FROM {}({}) AS f LIMIT 500) AS x",
        &[&function.object(), arguments],
    )
}

fn candidates(stand: &Stand<'_>, function: &Function, argument: &Argument) -> Vec<(Sql, bool)> {
    if let Some(relation) = argument
        .relation
        .and_then(|oid| stand.facts.relations.get(&oid))
    {
        return row(stand, relation)
            .into_iter()
            .map(|sql| (sql, true))
            .collect();
    }
    let texts = if argument.kind == "c" {
        Vec::new()
    } else {
        texts(stand, function, argument)
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

/// The row of B that a caller would have to know already.
fn row(stand: &Stand<'_>, relation: &Relation) -> Option<Sql> {
    let row = stand.row(relation.oid, Side::A)?;
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

fn texts(stand: &Stand<'_>, function: &Function, argument: &Argument) -> Vec<String> {
    let key = stand.ground.key(Side::B, 0).unwrap_or_default();
    let user = stand.ground.user(Side::B, 0);
    if let Some(labels) = &argument.labels {
        return labels.clone();
    }
    let mut found: Vec<String> = Vec::new();
    match argument.base.as_str() {
        "bool" => found.extend(["true", "false"].map(str::to_owned)),
        "date" | "timestamp" | "timestamptz" => {
            found.extend(["2101-01-01", "2001-01-01"].map(str::to_owned))
        }
        "interval" => found.push("1 day".to_owned()),
        "json" | "jsonb" => found.extend(documents(stand, function)),
        "uuid" | "int2" | "int4" | "int8" | "numeric" => {
            let whole = argument.base != "uuid";
            let fits = |text: &String| {
                if whole {
                    text.parse::<i64>().is_ok()
                } else {
                    text.len() == 36
                }
            };
            let by_tenant = named_for_tenant(stand, &argument.name);
            let own: Vec<String> = [key, user].into_iter().filter(fits).collect();
            let rows: Vec<String> = keys(stand, function, &argument.name)
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
        base if base.starts_with('_') => {
            let items: Vec<String> = keys(stand, function, &argument.name)
                .into_iter()
                .take(4)
                .collect();
            found.extend([format!("{{{}}}", items.join(",")), "{}".to_owned()]);
        }
        _ => found.extend(words_to_say(stand, function, argument)),
    }
    found.truncate(12);
    found
}

fn named_for_tenant(stand: &Stand<'_>, name: &str) -> bool {
    let stem = stand.ground.tenancy.column.trim_end_matches("_id");
    !stem.is_empty() && name.contains(stem) || name.contains("tenant") || name.contains("org")
}

/// Keys of B's rows, those of tables that the function names first.
fn keys(stand: &Stand<'_>, function: &Function, name: &str) -> Vec<String> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for table in stand.tenant_tables() {
        let named = words::mentions(function.body(), &table.name)
            || !name.is_empty() && name.contains(table.name.trim_end_matches('s'));
        for row in stand
            .plan
            .rows
            .iter()
            .filter(|row| row.table == table.oid && row.side == Side::B && row.usual)
            .take(1)
        {
            for column in stand.facts.primary_key(table.oid) {
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
fn documents(stand: &Stand<'_>, function: &Function) -> Vec<String> {
    let tenant = stand.ground.key(Side::B, 0).unwrap_or_default();
    let mut asked = words::read(function.body()).keys;
    asked.insert("id".to_owned());
    let mut values = keys(stand, function, "");
    values.truncate(5);
    values.extend([tenant.clone(), stand.ground.user(Side::B, 0)]);
    let mut found: Vec<String> = values
        .into_iter()
        .map(|value| {
            let mut document: serde_json::Map<String, serde_json::Value> = asked
                .iter()
                .map(|key| (key.clone(), value.clone().into()))
                .collect();
            document.insert(stand.ground.tenancy.column.clone(), tenant.clone().into());
            serde_json::Value::from(document).to_string()
        })
        .collect();
    found.push("{}".to_owned());
    found
}

/// What a caller may put into a text: B's key, parts of its rows, names of settings, and text that breaks out of quotes.
fn words_to_say(stand: &Stand<'_>, function: &Function, argument: &Argument) -> Vec<String> {
    let key = stand.ground.key(Side::B, 0).unwrap_or_default();
    let mut found = Vec::new();
    let body = function.body().to_lowercase();
    let table = stand
        .tenant_tables()
        .into_iter()
        .find(|table| words::mentions(function.body(), &table.name));
    if body.contains("set_config")
        && (argument.name.contains("name")
            || argument.name.contains("key")
            || argument.name.contains("setting"))
    {
        found.extend(stand.ground.tenancy.setting.clone());
    }
    if body.contains("execute") {
        let test = table.map_or_else(
            || "true".to_owned(),
            |table| {
                Sql::fill(
                    "(SELECT pg_catalog.count(*) FROM {} AS t WHERE {}) > 0",
                    &[&table.object(), &stand.ground.is_of(table.oid, "t", 1, 0)],
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
    if stand.ground.user_type == "text" || named_for_tenant(stand, &argument.name) {
        found.insert(0, key.clone());
    }
    found.extend([key, mark(Side::B).to_owned(), "%".to_owned(), String::new()]);
    found.extend(stand.ground.tenancy.setting.clone());
    found.extend(keys(stand, function, &argument.name).into_iter().take(2));
    found.push(
        serde_json::json!({ "sub": stand.ground.user(Side::B, 0), "role": "service_role" })
            .to_string(),
    );
    found.push("service_role".to_owned());
    found
}
