//! T11: a new enum value used in the transaction that adds it.

use std::collections::BTreeMap;

use crate::finding::Severity;
use crate::lint::declared_so_far::DeclaredSoFar;
use crate::lint::parsed_statement::ParsedStatement;
use crate::lint::rule::{Check, Hit, Rule};
use crate::lint::statement_context::LintFile;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::QualifiedName;
use crate::sql::text::part;
use crate::sql::token::TokenKind;

pub(crate) const RULE: Rule = Rule {
    code: "T11",
    name: "enum-value-used-at-once",
    severity: Severity::Error,
    required: false,
    why: "PostgreSQL rejects a new enum value until the transaction that added it has committed.",
    safe: "Move the use of the value into the next migration",
    versions: "all",
    bad: "ALTER TYPE state ADD VALUE 'held'; UPDATE orders SET state = 'held' WHERE id = 1;",
    good: "ALTER TYPE state ADD VALUE 'held';",
    check: Check::File(check),
};

fn check(file: &LintFile<'_>, _declared: &DeclaredSoFar) -> Vec<(usize, Hit)> {
    let mut hits = Vec::new();
    if !file.in_transaction {
        return hits;
    }
    let made = made_before(file);
    // Backwards, so that for each literal the next statement that has it is declared.
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, line) in file.statements.iter().enumerate().rev() {
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
            hits.push((*used, Hit::new(&name, format!("Enum value {value} of `{name}` cannot be used in the transaction that adds it"))));
        }
    }
    hits.reverse();
    hits
}

/// Returns the types that the file creates, each with the first statement that does.
fn made_before(file: &LintFile<'_>) -> BTreeMap<QualifiedName, usize> {
    let mut made = BTreeMap::new();
    for (index, line) in file.statements.iter().enumerate() {
        if line.class() == Class::Create(Object::Type)
            && let Some((name, _)) = line.phrase().name(2)
        {
            made.entry(name).or_insert(index);
        }
    }
    made
}

/// Returns the literals of a statement; a function body runs later and is left out.
fn literals<'s>(line: &'s ParsedStatement<'_>) -> Vec<&'s str> {
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
    let literals = (0..phrase.len()).filter(|index| phrase.kind(*index) == Some(TokenKind::Text));
    literals.map(|index| phrase.at(index)).collect()
}
