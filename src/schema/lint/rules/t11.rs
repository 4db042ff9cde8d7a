//! T11: a new enum value used in the transaction that adds it.

use std::collections::BTreeMap;

use crate::finding::Severity;
use crate::lint::known::Known;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::scene::{Line, Script};
use crate::sql::class::{Class, Object};
use crate::sql::phrase::Name;
use crate::sql::text::part;
use crate::sql::token::Kind;

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
    let made = made_before(script);
    // Backwards, so that for each literal the next statement that has it is known.
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, line) in script.lines.iter().enumerate().rev() {
        if line.class() != Class::AlterTypeAddValue {
            next.extend(literals(line).into_iter().map(|literal| (literal, index)));
            continue;
        }
        let phrase = line.phrase();
        let Some((name, _)) = phrase.name(2) else {
            continue;
        };
        let at = phrase
            .find(&["value"])
            .map_or(0, |at| phrase.skip(at + 1, &["if", "not", "exists"]));
        let value = phrase.at(at);
        let is_made = made.get(&name).is_some_and(|made| *made < index);
        if let (false, Some(used)) = (is_made, next.get(value)) {
            hits.push((*used, Hit::new(&name, format!("{value} was added to `{name}` in this transaction and cannot be used before it commits"))));
        }
    }
    hits.reverse();
    hits
}

/// Gives the types that the file makes, each with the first statement that does.
fn made_before(script: &Script<'_>) -> BTreeMap<Name, usize> {
    let mut made = BTreeMap::new();
    for (index, line) in script.lines.iter().enumerate() {
        if line.class() == Class::Create(Object::Type)
            && let Some((name, _)) = line.phrase().name(2)
        {
            made.entry(name).or_insert(index);
        }
    }
    made
}

/// Gives the literals of a statement that runs; what stands in a function's body runs later.
fn literals<'s>(line: &'s Line<'_>) -> Vec<&'s str> {
    if matches!(
        line.class(),
        Class::Create(Object::Function | Object::Procedure) | Class::Comment
    ) {
        return Vec::new();
    }
    if line.class() == Class::Do {
        // Within its body, and within what the body executes, literals stand between any two quotes.
        let text = line.statement.text;
        let quotes: Vec<usize> = memchr::memchr_iter(b'\'', text.as_bytes()).collect();
        let between = quotes
            .windows(2)
            .map(|pair| part(text, pair[0], pair[1] + 1));
        return between.collect();
    }
    let phrase = line.phrase();
    let literals = (0..phrase.len()).filter(|index| phrase.kind(*index) == Some(Kind::Text));
    literals.map(|index| phrase.at(index)).collect()
}
