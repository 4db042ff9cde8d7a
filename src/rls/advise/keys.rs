//! Tables with policies but without a primary key, and duplicate indexes.

use std::collections::BTreeMap;

use crate::advise::AdviceContext;
use crate::catalog::{Key, Kind, Object};
use crate::finding::Finding;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, rows) in &context.rights.tables {
        let governed = rows.enabled || context.is_tenant(table);
        let whole = context
            .catalog
            .get(table)
            .is_some_and(|object| !object.has("partition"));
        if governed && whole && !has_key(context, table) {
            findings.push(keyless(context, table));
        }
    }
    findings.extend(duplicates(context));
    findings
}

fn has_key(context: &AdviceContext<'_>, table: &Key) -> bool {
    context
        .catalog
        .parts(Kind::Constraint, &table.schema, &table.name)
        .any(|(_, object)| object.text("type") == Some("primary key"))
}

fn keyless(context: &AdviceContext<'_>, table: &Key) -> Finding {
    let subject = table.qualified();
    let id = Key::part(Kind::Column, &table.schema, &table.name, "id");
    let help = if context.catalog.objects.contains_key(&id) {
        format!("ALTER TABLE {subject} ADD PRIMARY KEY (id)")
    } else {
        format!(
            "ALTER TABLE {subject} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        )
    };
    let message = "The table has no primary key: single rows cannot be identified, and logical replication cannot replicate UPDATE and DELETE";
    Finding::note("rls-no-key", subject, message).help(help)
}

/// Finds indexes that another index or key of the table repeats.
fn duplicates(context: &AdviceContext<'_>) -> Vec<Finding> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for (key, object) in context.catalog.of_kind(Kind::Constraint) {
        if matches!(object.text("type"), Some("primary key" | "unique")) {
            let columns = object.list("columns").iter();
            let names = Sql::join(columns.map(|column| Ident::new(&**column)), ", ");
            let table = Key::named(Kind::Table, &key.schema, &key.name);
            first.insert(
                format!("{} USING btree ({names})", table.qualified()),
                format!("key `{}`", key.part),
            );
        }
    }
    let mut indexes: Vec<(&Key, &Object)> = context
        .catalog
        .of_kind(Kind::Index)
        .filter(|(_, object)| !object.has("invalid") && !object.has("parent"))
        .collect();
    // One that keeps something unique does what the plain one does.
    indexes.sort_by_key(|(key, object)| (!object.has("unique"), *key));
    let mut findings = Vec::new();
    for (key, object) in indexes {
        let Some((_, said)) = object
            .text("definition")
            .and_then(|text| text.split_once(" ON "))
        else {
            continue;
        };
        let said = said.strip_prefix("ONLY ").unwrap_or(said).to_owned();
        let subject = key.qualified();
        match first.get(&said) {
            Some(other) => {
                let message = format!(
                    "The index duplicates {other}: every write maintains both, and no query is faster"
                );
                let alone = if object.has("partitioned") {
                    ""
                } else {
                    "CONCURRENTLY "
                };
                let help = format!("DROP INDEX {alone}{subject}");
                findings.push(Finding::note("rls-duplicate-index", subject, message).help(help));
            }
            None => {
                first.insert(said, format!("index `{}`", key.name));
            }
        }
    }
    findings
}
