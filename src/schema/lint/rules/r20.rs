//! R20: several ALTER TABLE of one table that could be one.

use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::alter::Does;
use crate::lint::known::Known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::{Line, Script};
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Name;

/// Finds several ALTER TABLE of one table that could be one.
pub(crate) const RULE: Rule = Rule {
    code: "R20",
    name: "merge-alter-table",
    severity: Severity::Note,
    required: false,
    why: "Each ALTER TABLE takes its lock anew, and each that rewrites or scans does so by itself; the parts of one statement share a single pass.",
    safe: "join the parts with commas into one ALTER TABLE",
    versions: "all",
    bad: "ALTER TABLE orders ALTER a TYPE bigint; ALTER TABLE orders ALTER b TYPE bigint;",
    good: "ALTER TABLE orders ALTER a TYPE bigint, ALTER b TYPE bigint;",
    check: Check::Script(check),
};

fn check(script: &Script<'_>, _known: &Known) -> Vec<(usize, Hit)> {
    let heavy = |line: &Line<'_>| {
        alter::read(line.phrase())
            .filter(|_| matches!(line.class(), Class::Alter(Object::Table)))
            .filter(|alter| {
                alter
                    .actions
                    .iter()
                    .any(|action| matches!(action.does, Does::SetType(..)))
            })
            .map(|alter| alter.table)
    };
    let mut seen: BTreeSet<Name> = BTreeSet::new();
    let mut hits = Vec::new();
    for (index, line) in script.lines.iter().enumerate() {
        let Some(table) = heavy(line) else { continue };
        if !seen.insert(table.clone()) {
            hits.push((
                index,
                Hit::new(&table, format!("a second ALTER TABLE changes types of `{table}`; together they need one pass")),
            ));
        }
    }
    hits
}
