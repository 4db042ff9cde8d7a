//! I11: a foreign key without an index.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Severity;
use crate::lint::declared_so_far::{ColumnList, DeclaredSoFar, StatementId};
use crate::lint::rule::{Check, Hit, Rule};

pub(crate) const RULE: Rule = Rule {
    code: "I11",
    name: "foreign-key-without-index",
    severity: Severity::Warn,
    required: false,
    why: "Each DELETE or key UPDATE on the referenced table scans the referencing table, and joins cannot use an index.",
    safe: "CREATE INDEX CONCURRENTLY on the columns of the foreign key",
    versions: "all",
    bad: "CREATE TABLE orders (customer_id int REFERENCES customers (id));",
    good: "CREATE TABLE orders (customer_id int REFERENCES customers (id)); CREATE INDEX ON orders (customer_id);",
    check: Check::AllFiles(check),
};

fn check(declared: &DeclaredSoFar) -> Vec<(StatementId, Hit)> {
    let mut hits = Vec::new();
    for (name, table) in &declared.tables {
        // The beginnings of the indexes, by how many columns they have; the order of the columns does not matter.
        let mut leads: BTreeMap<usize, BTreeSet<Vec<&str>>> = BTreeMap::new();
        for ColumnList {
            columns,
            at,
            references,
        } in table.foreign.iter()
        {
            let leads = leads.entry(columns.len()).or_insert_with(|| {
                let indexed = table.indexed.iter();
                let leads = indexed.filter_map(|index| index.columns.get(..columns.len()));
                leads.map(in_order).collect()
            });
            if columns.is_empty() || leads.contains(&in_order(columns)) {
                continue;
            }
            let list = columns.join(", ");
            let foreign_key = match columns.as_slice() {
                [column] => format!("{name}.{column}"),
                _ => format!("{name} ({list})"),
            };
            let referenced = references.as_ref().map_or_else(
                || "the referenced table".to_owned(),
                |table| format!("`{table}`"),
            );
            let hit = Hit::new(
                format!("{name} ({list})"),
                format!(
                    "Foreign key `{foreign_key}` has no index; each DELETE on {referenced} scans `{name}`"
                ),
            );
            hits.push((
                *at,
                hit.help(format!("CREATE INDEX CONCURRENTLY ON {name} ({list})")),
            ));
        }
    }
    hits
}

fn in_order(columns: &[String]) -> Vec<&str> {
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    columns.sort_unstable();
    columns
}
