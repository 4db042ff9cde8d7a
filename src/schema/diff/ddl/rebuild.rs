//! Writes how a table is rebuilt with its rows, and a type with the columns that use it.

use super::column::cast;
use super::names::{name, raw, with_kind};
use crate::catalog::{Catalog, Key, Kind};
use crate::diff::plan::Plan;
use crate::sql::name::{Ident, Literal};
use crate::sql::safe::{Sql, SqlPart};

/// Returns the name of the old object while its successor is created.
pub(super) fn temporary_name(key: &Key) -> Ident {
    let short: String = key.name.chars().take(40).collect();
    Ident::new(format!("{short} af-db old"))
}

/// Renames a table or type and its sequences, and detaches the table from its parents, whose changes would affect its
/// rows.
pub(super) fn rename_away(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let mut sql: Vec<Sql> = plan
        .from
        .parts(Kind::Identity, &key.schema, &key.name)
        .filter(|_| key.kind == Kind::Table)
        .map(|(part, _)| {
            Sql::fill(
                "ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY",
                &[&name(part), &Ident::new(&*part.part)],
            )
        })
        .collect();
    if let Some(table) = plan.from.get(key) {
        let free = |parent| Sql::fill("ALTER TABLE {} NO INHERIT {}", &[&name(key), &raw(parent)]);
        sql.extend(table.list("inherits").iter().map(|parent| free(parent)));
    }
    // The functions of a base type are renamed with it; the new ones use their names.
    for needed in plan
        .from
        .get(key)
        .into_iter()
        .flat_map(|object| &object.needs)
    {
        if plan.is_replaced(needed) && plan.base_types_of_function(plan.from, needed).contains(key)
        {
            sql.push(Sql::fill(
                "ALTER {} RENAME TO {}",
                &[&with_kind(plan.from, needed), &temporary_name(needed)],
            ));
        }
    }
    let template = if key.kind == Kind::Table {
        "ALTER TABLE {} RENAME TO {}"
    } else if plan.from.get(key).and_then(|object| object.text("type")) == Some("domain") {
        "ALTER DOMAIN {} RENAME TO {}"
    } else {
        "ALTER TYPE {} RENAME TO {}"
    };
    sql.push(Sql::fill(template, &[&name(key), &temporary_name(key)]));
    sql
}

/// Moves the rows of the renamed table and drops it.
pub(super) fn fill(plan: &Plan<'_>, key: &Key) -> Vec<Sql> {
    let old = Sql::fill("{}.{}", &[&Ident::new(&*key.schema), &temporary_name(key)]);
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for (column, after) in plan.to.columns(key) {
        let Some(before) = plan.from.get(column).filter(|_| !after.has("generated")) else {
            continue;
        };
        let part = Ident::new(&*column.part);
        let (old_type, new_type) = (before.text("type"), after.text("type"));
        let type_again = after
            .needs
            .iter()
            .any(|needed| needed.kind == Kind::Type && plan.is_replaced(needed));
        let value = if old_type == new_type && !type_again {
            raw(&part.to_string())
        } else {
            cast(
                &part,
                old_type.unwrap_or_default(),
                new_type.unwrap_or_default(),
            )
        };
        columns.push(part);
        values.push(value);
    }
    let mut sql = Vec::new();
    let partitioned = plan
        .from
        .get(key)
        .is_some_and(|object| object.has("partition_by"));
    let still = plan
        .to
        .get(key)
        .is_some_and(|object| object.has("partition_by"));
    if !(columns.is_empty() || partitioned && still) {
        let only = Sql::new(if partitioned { "" } else { "ONLY " });
        let list = Sql::join(columns, ", ");
        let pieces: [&dyn SqlPart; 5] = [&name(key), &list, &Sql::join(values, ", "), &only, &old];
        sql.push(Sql::fill(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}{}",
            &pieces,
        ));
    }
    sql.extend(advance(plan.to, key));
    sql.push(Sql::fill("DROP TABLE {}", &[&old]));
    sql
}

/// Sets identity sequences to the highest value that was moved.
pub(super) fn advance(to: &Catalog, key: &Key) -> Vec<Sql> {
    to.parts(Kind::Identity, &key.schema, &key.name)
        .map(|(part, identity)| {
            let sequence = Literal::new(identity.text("sequence").unwrap_or_default());
            let pieces: [&dyn SqlPart; 4] = [
                &sequence,
                &Ident::new(&*part.part),
                &name(key),
                &Ident::new(&*part.part),
            ];
            Sql::fill(
                "SELECT pg_catalog.setval({}, max({})) FROM {} HAVING max({}) IS NOT NULL",
                &pieces,
            )
        })
        .collect()
}
