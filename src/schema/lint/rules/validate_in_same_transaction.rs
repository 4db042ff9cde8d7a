//! S11: a constraint validated in the transaction that added it.

use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::alter::{AlterKind, TableConstraint};
use crate::lint::declared_so_far::DeclaredSoFar;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::LintFile;
use crate::sql::phrase::QualifiedName;

pub(crate) const RULE: Rule = Rule {
    code: "S11",
    name: "validate-in-same-transaction",
    severity: Severity::Warn,
    required: false,
    why: "The lock of ADD CONSTRAINT is kept until the transaction ends, so VALIDATE CONSTRAINT scans the table under that lock and NOT VALID has no benefit.",
    safe: "Move VALIDATE CONSTRAINT into the next migration",
    versions: "all",
    bad: "ALTER TABLE o ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE o VALIDATE CONSTRAINT c;",
    good: "ALTER TABLE o VALIDATE CONSTRAINT c; -- in the next migration",
    check: Check::File(check),
};

fn check(file: &LintFile<'_>, _declared: &DeclaredSoFar) -> Vec<(usize, Hit)> {
    let mut added: BTreeSet<(QualifiedName, String)> = BTreeSet::new();
    let mut hits = Vec::new();
    if !file.in_transaction {
        return hits;
    }
    for (index, line) in file.statements.iter().enumerate() {
        let alter = alter::read(line.phrase());
        for action in alter.into_iter().flat_map(|alter| alter.actions) {
            match &action.kind {
                AlterKind::AddConstraint(TableConstraint {
                    name: Some(name),
                    not_valid: true,
                    ..
                }) => {
                    added.insert((action.table.clone(), name.clone()));
                }
                AlterKind::Validate(name)
                    if added.contains(&(action.table.clone(), name.clone())) =>
                {
                    let message = format!(
                        "Constraint `{name}` is validated while the lock of its ADD CONSTRAINT is still held"
                    );
                    hits.push((
                        index,
                        Hit::new(&action.table, message).start(action.phrase.start()),
                    ));
                }
                _ => {}
            }
        }
    }
    hits
}
