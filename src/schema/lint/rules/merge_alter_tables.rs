//! R20: several ALTER TABLE statements on one table that could be merged.

use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::alter::AlterKind;
use crate::lint::declared_so_far::DeclaredSoFar;
use crate::lint::parsed_statement::ParsedStatement;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::LintFile;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::QualifiedName;

pub(crate) const RULE: Rule = Rule {
    code: "R20",
    name: "merge-alter-table",
    severity: Severity::Note,
    required: false,
    why: "Each ALTER TABLE that rewrites or scans a table does so separately. The actions of a single statement share one pass.",
    safe: "Merge the actions into one ALTER TABLE, separated by commas",
    versions: "all",
    bad: "ALTER TABLE orders ALTER a TYPE bigint; ALTER TABLE orders ALTER b TYPE bigint;",
    good: "ALTER TABLE orders ALTER a TYPE bigint, ALTER b TYPE bigint;",
    check: Check::File(check),
};

fn check(file: &LintFile<'_>, _declared: &DeclaredSoFar) -> Vec<(usize, Hit)> {
    let heavy = |line: &ParsedStatement<'_>| {
        alter::read(line.phrase())
            .filter(|_| matches!(line.class(), Class::Alter(Object::Table)))
            .filter(|alter| {
                alter
                    .actions
                    .iter()
                    .any(|action| matches!(action.kind, AlterKind::SetType(..)))
            })
            .map(|alter| alter.table)
    };
    let mut seen: BTreeSet<QualifiedName> = BTreeSet::new();
    let mut hits = Vec::new();
    for (index, line) in file.statements.iter().enumerate() {
        let Some(table) = heavy(line) else { continue };
        if !seen.insert(table.clone()) {
            hits.push((
                index,
                Hit::new(&table, format!("A second ALTER TABLE changes column types of `{table}`; merged, they need one rewrite")),
            ));
        }
    }
    hits
}
