//! S11: a constraint validated in the transaction that added it.

use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::lint::alter;
use crate::lint::alter::{Constraint, Does};
use crate::lint::known::Known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::Script;
use crate::sql::phrase::Name;

/// Finds a constraint validated in the transaction that added it.
pub(crate) const RULE: Rule = Rule {
    code: "S11",
    name: "validate-in-same-transaction",
    severity: Severity::Warn,
    required: false,
    why: "The lock of ADD CONSTRAINT is kept until the transaction ends, so the scan of VALIDATE runs under it: NOT VALID gains nothing.",
    safe: "move VALIDATE CONSTRAINT into the next migration",
    versions: "all",
    bad: "ALTER TABLE o ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE o VALIDATE CONSTRAINT c;",
    good: "ALTER TABLE o VALIDATE CONSTRAINT c; -- in the next migration",
    check: Check::Script(check),
};

fn check(script: &Script<'_>, _known: &Known) -> Vec<(usize, Hit)> {
    let mut added: BTreeSet<(Name, String)> = BTreeSet::new();
    let mut hits = Vec::new();
    if !script.in_transaction {
        return hits;
    }
    for (index, line) in script.lines.iter().enumerate() {
        let alter = alter::read(line.phrase());
        for action in alter.into_iter().flat_map(|alter| alter.actions) {
            match &action.does {
                Does::AddConstraint(Constraint {
                    name: Some(name),
                    not_valid: true,
                    ..
                }) => {
                    added.insert((action.table.clone(), name.clone()));
                }
                Does::Validate(name) if added.contains(&(action.table.clone(), name.clone())) => {
                    let message =
                        format!("`{name}` is validated under the lock of its own ADD CONSTRAINT");
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
