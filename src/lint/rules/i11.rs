//! I11: a foreign key whose columns no index begins with.

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
        for (columns, at) in &table.foreign {
            let covered = table.indexed.iter().any(|indexed| {
                let lead = &indexed[..indexed.len().min(columns.len())];
                lead.len() == columns.len() && columns.iter().all(|column| lead.contains(column))
            });
            if columns.is_empty() || covered {
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
                *at,
                hit.help(format!("CREATE INDEX CONCURRENTLY ON {name} ({list})")),
            ));
        }
    }
    hits
}
