//! I11: a foreign key whose columns no index begins with.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::Severity;
use crate::lint::known::{At, Known};
use crate::lint::rule::{Check, Hit, Rule};

/// Finds a foreign key whose columns no index begins with.
pub(crate) const RULE: Rule = Rule {
    code: "I11",
    name: "foreign-key-without-index",
    severity: Severity::Warn,
    required: false,
    why: "Deleting or changing a row of the other table reads this whole table for each, and joins have no index either.",
    safe: "CREATE INDEX CONCURRENTLY on the columns of the foreign key",
    versions: "all",
    bad: "CREATE TABLE orders (customer_id int REFERENCES customers (id));",
    good: "CREATE TABLE orders (customer_id int REFERENCES customers (id)); CREATE INDEX ON orders (customer_id);",
    check: Check::Whole(check),
};

fn check(known: &Known) -> Vec<(At, Hit)> {
    let mut hits = Vec::new();
    for (name, table) in &known.tables {
        // The beginnings of the indexes, by how many columns they have; the order of the columns does not matter.
        let mut leads: BTreeMap<usize, BTreeSet<Vec<&str>>> = BTreeMap::new();
        for (columns, at) in table.foreign.iter() {
            let leads = leads.entry(columns.len()).or_insert_with(|| {
                let indexed = table.indexed.iter();
                let leads = indexed.filter_map(|(indexed, _)| indexed.get(..columns.len()));
                leads.map(in_order).collect()
            });
            if columns.is_empty() || leads.contains(&in_order(columns)) {
                continue;
            }
            let list = columns.join(", ");
            let hit = Hit::new(
                format!("{name} ({list})"),
                format!(
                    "no index of `{name}` begins with `{list}`: each row deleted from the other table reads all of `{name}`"
                ),
            );
            hits.push((
                at,
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
