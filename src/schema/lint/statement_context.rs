//! What a rule sees: the statement, its file, and what earlier statements have created.

use crate::lint::Source;
use crate::lint::declared_so_far::DeclaredSoFar;
use crate::lint::file_facts::{FileFacts, StatementFact};
use crate::lint::parsed_statement::ParsedStatement;
use crate::sql::class::Class;
use crate::sql::directive::{self, Directive};
use crate::sql::phrase::{Phrase, QualifiedName};
use crate::sql::position::Positions;
use crate::sql::split;

/// A migration file, split.
pub struct LintFile<'a> {
    /// Where it comes from.
    pub source: &'a Source<'a>,
    pub statements: Vec<ParsedStatement<'a>>,
    /// What its statements say, for rules about others of them.
    pub facts: FileFacts,
    /// Where its bytes stand.
    pub positions: Positions<'a>,
    pub directives: Vec<Directive>,
    /// Whether it runs in one transaction.
    pub in_transaction: bool,
    /// Which file of the set it is.
    pub number: usize,
}

impl<'a> LintFile<'a> {
    /// Splits a file.
    pub fn read(source: &'a Source<'a>, number: usize) -> Self {
        let statements = split::split(source.text);
        let directives = directive::of_statements(source.text, &statements);
        let marked = directives
            .iter()
            .any(|directive| directive.keyword == "no-transaction");
        let statements: Vec<ParsedStatement<'a>> =
            statements.into_iter().map(ParsedStatement::new).collect();
        LintFile {
            source,
            facts: FileFacts::read(&statements),
            statements,
            positions: Positions::new(source.text),
            directives,
            in_transaction: source.in_transaction && !marked,
            number,
        }
    }
}

/// One statement in its place.
#[derive(Clone, Copy)]
pub struct StatementContext<'s> {
    pub file: &'s LintFile<'s>,
    /// Which statement of the file.
    pub index: usize,
    /// What the files so far, and the statements before this one, have made.
    pub declared: &'s DeclaredSoFar,
}

impl<'s> StatementContext<'s> {
    pub fn statement(self) -> &'s ParsedStatement<'s> {
        &self.file.statements[self.index]
    }

    /// Returns the statement as a phrase.
    pub fn phrase(self) -> Phrase<'s> {
        self.statement().phrase()
    }

    /// Returns what the statement is.
    pub fn class(self) -> Class {
        self.statement().class()
    }

    /// Whether a statement before this one, in this file, says it.
    pub fn is_before(self, fact: &StatementFact) -> bool {
        self.file.facts.is_before(self.index, fact)
    }

    /// Whether a statement after this one, in this file, says it.
    pub fn is_after(self, fact: &StatementFact) -> bool {
        self.file.facts.is_after(self.index, fact)
    }

    /// Whether a relation exists before this file runs; other sessions cannot see the others yet.
    pub fn exists_before(self, name: &QualifiedName) -> bool {
        self.declared.file_creating(name) != Some(self.file.number)
    }
}
