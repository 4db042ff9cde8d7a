//! Tenant columns and foreign keys that no index leads with.

use std::collections::{BTreeMap, BTreeSet};

use crate::advise::AdviceContext;
use crate::catalog::{Catalog, Key, Kind, Text};
use crate::finding::Finding;
use crate::sql::name::Ident;
use crate::sql::safe::Sql;

pub(super) fn check(context: &AdviceContext<'_>) -> Vec<Finding> {
    let leading = leading(context.catalog);
    let covered = |table: &Key, columns: &[Text]| {
        let keys = leading.get(table).map(Vec::as_slice).unwrap_or_default();
        keys.iter().any(|keys| {
            let first: BTreeSet<&Text> = keys.iter().take(columns.len()).collect();
            first == columns.iter().collect()
        })
    };
    let mut findings = Vec::new();
    for (table, rows) in context
        .rights
        .tables
        .iter()
        .filter(|(table, _)| context.is_tenant(table))
    {
        let Some(column) = context.column.filter(|_| rows.enabled) else {
            continue;
        };
        if !rows.policies.is_empty() && !covered(table, &[column.into()]) {
            let message =
                format!("Every query filters by `{column}`, but no index starts with `{column}`");
            findings.push(finding(
                "rls-unindexed-tenant",
                table,
                &[column.into()],
                message,
            ));
        }
    }
    for (key, object) in context.catalog.of_kind(Kind::Constraint) {
        let columns = object.list("columns");
        let table = Key::named(Kind::Table, &key.schema, &key.name);
        if object.text("type") == Some("foreign key")
            && !columns.is_empty()
            && !covered(&table, columns)
        {
            let message = format!(
                "Foreign key `{}` has no index: each DELETE or key UPDATE on the referenced table scans this table",
                key.part
            );
            findings.push(finding(
                "rls-unindexed-foreign-key",
                &table,
                columns,
                message,
            ));
        }
    }
    findings
}

fn finding(code: &str, table: &Key, columns: &[Text], message: String) -> Finding {
    let names = Sql::join(columns.iter().map(|column| Ident::new(&**column)), ", ");
    let help = format!(
        "CREATE INDEX CONCURRENTLY ON {} ({names})",
        table.qualified()
    );
    Finding::note(code, table.qualified(), message).help(help)
}

/// Returns the columns of every index and key with the table they stand on.
fn leading(catalog: &Catalog) -> BTreeMap<Key, Vec<&[Text]>> {
    let keys = catalog
        .of_kind(Kind::Constraint)
        .filter(|(_, object)| matches!(object.text("type"), Some("primary key" | "unique")));
    let keys = keys.map(|(key, object)| {
        (
            Key::named(Kind::Table, &key.schema, &key.name),
            object.list("columns"),
        )
    });
    // An index over some rows only serves those.
    let indexes = catalog.of_kind(Kind::Index).filter(|(_, object)| {
        !object.has("invalid")
            && !object
                .text("definition")
                .is_some_and(|text| text.contains(" WHERE "))
    });
    let indexes = indexes
        .filter_map(|(_, object)| Some((object.on.as_deref().cloned()?, object.list("columns"))));
    let mut leading: BTreeMap<Key, Vec<&[Text]>> = BTreeMap::new();
    for (table, columns) in keys.chain(indexes) {
        leading.entry(table).or_default().push(columns);
    }
    leading
}
