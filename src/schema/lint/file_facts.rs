//! Facts about the statements of a file, collected once, so that a rule can ask what comes before or after a
//! statement.

use std::collections::{BTreeMap, BTreeSet};

use crate::lint::alter::{self, AlterAction, AlterKind};
use crate::lint::declared_so_far;
use crate::lint::parsed_statement::ParsedStatement;
use crate::sql::class::{Class, Object};
use crate::sql::phrase::{Phrase, QualifiedName};
use crate::sql::token::TokenKind;

/// Something that a statement says and that a rule about another one asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatementFact {
    /// `ALTER TABLE` of this table.
    AltersTable(QualifiedName),
    /// `ADD COLUMN` to this table.
    AddsColumn(QualifiedName, String),
    /// `ENABLE TRIGGER` on this table, by the trigger's name in lower case.
    EnablesTrigger(QualifiedName, String),
    /// `ENABLE ROW LEVEL SECURITY`
    EnablesRowSecurity(QualifiedName),
    /// `FORCE ROW LEVEL SECURITY`
    ForcesRowSecurity(QualifiedName),
    /// `CREATE` of anything of this name.
    Creates(QualifiedName),
    /// `CREATE VIEW` or `CREATE MATERIALIZED VIEW`
    CreatesView(QualifiedName),
    /// `CREATE VIEW` or `CREATE TABLE`
    CreatesRelation(QualifiedName),
    /// `CREATE TRIGGER` or `CREATE RULE`
    CreatesTrigger(String),
    /// `CREATE POLICY … ON` this table.
    CreatesPolicyOn(QualifiedName),
    /// `DROP TABLE`
    DropsTable(QualifiedName),
    /// `DROP INDEX`, whatever its schema.
    DropsIndex(String),
    /// `DROP TRIGGER` with this word, in lower case.
    DropsTrigger(String),
    /// `CREATE` or `ALTER EVENT TRIGGER` with this word, in lower case, that does not disable it.
    KeepsEventTrigger(String),
    /// `GRANT` with this word, in lower case.
    Grants(String),
    /// `ALTER FUNCTION … SET search_path`
    PinsSearchPath(QualifiedName),
    /// `ALTER VIEW … security_invoker`
    SetsSecurityInvoker,
    /// `ANALYZE` or `VACUUM` with this word, in lower case.
    Analyzes(String),
    /// `ANALYZE` or `VACUUM` of everything.
    AnalyzesAll,
}

/// The first and the last statement that says something.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    last: usize,
}

/// What the statements of a file add.
#[derive(Debug, Default)]
pub struct FileFacts {
    facts: BTreeMap<StatementFact, Span>,
    /// The statements that set or reset `lock_timeout`, in order.
    lock_timeouts: Vec<usize>,
    /// The tables that were there before the file and that it closes to everyone, each with the first statement that does.
    closed: Vec<(usize, QualifiedName)>,
}

impl FileFacts {
    /// Reads the statements of a file once.
    pub fn read(lines: &[ParsedStatement<'_>]) -> Self {
        let mut facts = FileFacts::default();
        let (mut made, mut closed) = (BTreeSet::new(), BTreeSet::new());
        for (index, line) in lines.iter().enumerate() {
            let mut add = |fact| {
                let span = Span {
                    first: index,
                    last: index,
                };
                facts.facts.entry(fact).or_insert(span).last = index;
            };
            read_facts(line, &mut add);
            let phrase = line.phrase();
            let sets = matches!(line.class(), Class::Set { .. } | Class::Reset);
            if sets && phrase.contains(&["lock_timeout"]) {
                facts.lock_timeouts.push(index);
            }
            if matches!(line.class(), Class::Create(_) | Class::CreateTableAs) {
                made.extend(declared_so_far::created(phrase));
            }
            let Some(table) = closes(line) else { continue };
            for action in alter::read(phrase).into_iter().flat_map(|it| it.actions) {
                if let AlterKind::RenameTable(to) = &action.kind
                    && made.contains(&table)
                {
                    made.insert(QualifiedName::new(&table.schema, to));
                }
            }
            if !made.contains(&table) && closed.insert(table.clone()) {
                facts.closed.push((index, table));
            }
        }
        facts
    }

    pub fn is_before(&self, index: usize, fact: &StatementFact) -> bool {
        self.facts.get(fact).is_some_and(|span| span.first < index)
    }

    pub fn is_after(&self, index: usize, fact: &StatementFact) -> bool {
        self.facts.get(fact).is_some_and(|span| span.last > index)
    }

    /// Returns the last statement before this one that sets or resets `lock_timeout`.
    pub fn lock_timeout_before(&self, index: usize) -> Option<usize> {
        let behind = self.lock_timeouts.partition_point(|at| *at < index);
        self.lock_timeouts.get(behind.checked_sub(1)?).copied()
    }

    /// Returns the tables that statements before this one close to everyone, each once.
    pub fn closed_before(&self, index: usize) -> &[(usize, QualifiedName)] {
        &self.closed[..self.closed.partition_point(|(at, _)| *at < index)]
    }
}

/// Returns the table that an `ALTER TABLE` closes to everyone.
pub fn closes(line: &ParsedStatement<'_>) -> Option<QualifiedName> {
    if line.class() != Class::Alter(Object::Table) {
        return None;
    }
    let alter = alter::read(line.phrase())?;
    let gentle = |action: &AlterAction<'_>| {
        matches!(action.kind, AlterKind::Validate(_)) || action.phrase.begins(&["set", "("])
    };
    (!alter.actions.iter().all(gentle)).then_some(alter.table)
}

fn read_facts(line: &ParsedStatement<'_>, add: &mut impl FnMut(StatementFact)) {
    let phrase = line.phrase();
    match line.class() {
        Class::Alter(Object::Table | Object::ForeignTable) => altered(line, add),
        Class::Create(object) => created(object, phrase, add),
        Class::CreateTableAs => {
            if let Some(name) = declared_so_far::created(phrase) {
                add(StatementFact::Creates(name));
            }
        }
        Class::Drop(Object::Table) => {
            for (name, _) in declared_so_far::dropped(phrase, 2) {
                add(StatementFact::DropsTable(name));
            }
        }
        Class::DropIndex { .. } => {
            for (name, _) in declared_so_far::dropped(phrase, 2) {
                add(StatementFact::DropsIndex(name.name));
            }
        }
        Class::Drop(Object::Trigger) => words(phrase, StatementFact::DropsTrigger, add),
        Class::Grant => words(phrase, StatementFact::Grants, add),
        Class::Alter(Object::EventTrigger) if !phrase.has(&["disable"]) => {
            words(phrase, StatementFact::KeepsEventTrigger, add);
        }
        Class::Alter(Object::Function | Object::Procedure) => {
            if let Some((name, _)) = phrase
                .name(2)
                .filter(|_| phrase.has(&["set", "search_path"]))
            {
                add(StatementFact::PinsSearchPath(name));
            }
        }
        Class::Alter(Object::View) if phrase.contains(&["security_invoker"]) => {
            add(StatementFact::SetsSecurityInvoker);
        }
        Class::Analyze | Class::Vacuum if phrase.len() == 1 => add(StatementFact::AnalyzesAll),
        Class::Analyze | Class::Vacuum => words(phrase, StatementFact::Analyzes, add),
        _ => {}
    }
}

fn created(object: Object, phrase: Phrase<'_>, add: &mut impl FnMut(StatementFact)) {
    if object == Object::Policy {
        let table = phrase.find(&["on"]).and_then(|on| phrase.name(on + 1));
        if let Some((table, _)) = table {
            add(StatementFact::CreatesPolicyOn(table));
        }
    }
    if object == Object::EventTrigger && !phrase.has(&["disable"]) {
        words(phrase, StatementFact::KeepsEventTrigger, add);
    }
    let Some(name) = declared_so_far::created(phrase) else {
        return;
    };
    match object {
        Object::View => {
            add(StatementFact::CreatesView(name.clone()));
            add(StatementFact::CreatesRelation(name.clone()));
        }
        Object::MaterializedView => add(StatementFact::CreatesView(name.clone())),
        Object::Table => add(StatementFact::CreatesRelation(name.clone())),
        Object::Trigger | Object::Rule => add(StatementFact::CreatesTrigger(name.name.clone())),
        _ => {}
    }
    add(StatementFact::Creates(name));
}

fn altered(line: &ParsedStatement<'_>, add: &mut impl FnMut(StatementFact)) {
    let Some(alter) = alter::read(line.phrase()) else {
        return;
    };
    let table = alter.table;
    for action in &alter.actions {
        let phrase = action.phrase;
        if let AlterKind::AddColumn(column) = &action.kind {
            add(StatementFact::AddsColumn(table.clone(), column.name()));
        } else if phrase.begins(&["enable", "trigger"]) {
            let trigger = phrase.at(2).to_ascii_lowercase();
            add(StatementFact::EnablesTrigger(table.clone(), trigger));
        } else if phrase.begins(&["enable", "row", "level", "security"]) {
            add(StatementFact::EnablesRowSecurity(table.clone()));
        } else if phrase.begins(&["force", "row", "level", "security"]) {
            add(StatementFact::ForcesRowSecurity(table.clone()));
        }
    }
    add(StatementFact::AltersTable(table));
}

fn words(
    phrase: Phrase<'_>,
    fact: fn(String) -> StatementFact,
    add: &mut impl FnMut(StatementFact),
) {
    for index in 0..phrase.len() {
        if matches!(
            phrase.kind(index),
            Some(TokenKind::Word | TokenKind::QuotedName)
        ) {
            let word = phrase.at(index).trim_matches('"').to_ascii_lowercase();
            add(fact(word));
        }
    }
}
