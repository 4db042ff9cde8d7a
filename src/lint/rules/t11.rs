//! T11: a new enum value used in the transaction that adds it.

use std::collections::BTreeSet;

use crate::finding::Severity;
use crate::lint::known::Known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::{Line, Script};
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Name;

/// Finds a new enum value used in the transaction that adds it.
pub(crate) const RULE: Rule = Rule {
    code: "T11",
    name: "enum-value-used-at-once",
    severity: Severity::Error,
    required: false,
    why: "PostgreSQL refuses a value of an enum until the transaction that added it has committed.",
    safe: "move the use into the next migration",
    versions: "all",
    bad: "ALTER TYPE state ADD VALUE 'held'; UPDATE orders SET state = 'held' WHERE id = 1;",
    good: "ALTER TYPE state ADD VALUE 'held';",
    check: Check::Script(check),
};

fn check(script: &Script<'_>, _known: &Known) -> Vec<(usize, Hit)> {
    let mut hits = Vec::new();
    if !script.in_transaction {
        return hits;
    }
    let mut made: BTreeSet<Name> = BTreeSet::new();
    for (index, line) in script.lines.iter().enumerate() {
        let phrase = line.phrase();
        match line.class() {
            Class::Create(Object::Type) => made.extend(phrase.name(2).map(|(name, _)| name)),
            Class::AlterTypeAddValue => {
                let Some((name, _)) = phrase.name(2) else {
                    continue;
                };
                let at = phrase
                    .find(&["value"])
                    .map_or(0, |at| phrase.skip(at + 1, &["if", "not", "exists"]));
                let value = phrase.at(at);
                if made.contains(&name) || value.is_empty() {
                    continue;
                }
                let later = script.lines.iter().enumerate().skip(index + 1);
                let used = later
                    .filter(|(_, line)| {
                        line.class() != Class::AlterTypeAddValue && mentions(line, value)
                    })
                    .map(|(at, _)| at);
                hits.extend(used.take(1).map(|at| {
                    (at, Hit::new(&name, format!("{value} was added to `{name}` in this transaction and cannot be used before it commits")))
                }));
            }
            _ => {}
        }
    }
    hits
}
/// Says whether a statement has this literal; what stands in a function's body runs later.
fn mentions(line: &Line<'_>, value: &str) -> bool {
    let runs = !matches!(
        line.class(),
        Class::Create(Object::Function | Object::Procedure) | Class::Comment
    );
    let phrase = line.phrase();
    let in_block = line.class() == Class::Do && line.statement.text.contains(value);
    runs && (in_block || (0..phrase.len()).any(|at| phrase.at(at) == value))
}
