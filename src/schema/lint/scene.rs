//! Owns what a rule sees: the statement, its file, and what the files so far have made.

use std::cell::OnceCell;

use crate::lint::Source;
use crate::lint::around::{Around, Fact};
use crate::lint::known::Known;
use crate::sql::class::Class;
use crate::sql::directive::{self, Directive};
use crate::sql::phrase::{Name, Phrase};
use crate::sql::position::Positions;
use crate::sql::split::{self, Statement};
use crate::sql::token::{Token, code_in};

/// How many tokens of one statement are looked at; rows of an `INSERT` beyond that say nothing new.
const TOKENS: usize = 20_000;

/// A migration file, split.
pub struct Script<'a> {
    /// Where it comes from.
    pub source: &'a Source<'a>,
    /// Its statements.
    pub lines: Vec<Line<'a>>,
    /// What its statements say, for rules about others of them.
    pub around: Around,
    /// Where its bytes stand.
    pub positions: Positions<'a>,
    /// Its directives.
    pub directives: Vec<Directive>,
    /// Whether it runs in one transaction.
    pub in_transaction: bool,
    /// Which file of the set it is.
    pub number: usize,
}

/// A statement with its tokens.
pub struct Line<'a> {
    /// The statement.
    pub statement: Statement<'a>,
    tokens: OnceCell<Vec<Token>>,
}

impl<'a> Script<'a> {
    /// Splits a file.
    pub fn read(source: &'a Source<'a>, number: usize) -> Self {
        let statements = split::split(source.text);
        let directives = directive::of_statements(source.text, &statements);
        let marked = directives
            .iter()
            .any(|directive| directive.keyword == "no-transaction");
        let line = |statement| Line {
            statement,
            tokens: OnceCell::new(),
        };
        let lines: Vec<Line<'a>> = statements.into_iter().map(line).collect();
        Script {
            source,
            around: Around::read(&lines),
            lines,
            positions: Positions::new(source.text),
            directives,
            in_transaction: source.in_transaction && !marked,
            number,
        }
    }
}

impl<'a> Line<'a> {
    /// Gives the statement as a phrase.
    pub fn phrase(&self) -> Phrase<'_> {
        let text = self.statement.text;
        let tokens = self
            .tokens
            .get_or_init(|| code_in(text, self.statement.quoting).take(TOKENS).collect());
        Phrase::new(text, tokens)
    }

    /// Gives what it is.
    pub fn class(&self) -> Class {
        self.statement.class
    }
}

/// One statement in its place.
#[derive(Clone, Copy)]
pub struct Scene<'s> {
    /// The file.
    pub script: &'s Script<'s>,
    /// Which statement of the file.
    pub index: usize,
    /// What the files so far, and the statements before this one, have made.
    pub known: &'s Known,
}

impl<'s> Scene<'s> {
    /// Gives the statement.
    pub fn line(self) -> &'s Line<'s> {
        &self.script.lines[self.index]
    }

    /// Gives the statement as a phrase.
    pub fn phrase(self) -> Phrase<'s> {
        self.line().phrase()
    }

    /// Gives what the statement is.
    pub fn class(self) -> Class {
        self.line().class()
    }

    /// Says whether a statement before this one, in this file, says it.
    pub fn is_before(self, fact: &Fact) -> bool {
        self.script.around.is_before(self.index, fact)
    }

    /// Says whether a statement after this one, in this file, says it.
    pub fn is_after(self, fact: &Fact) -> bool {
        self.script.around.is_after(self.index, fact)
    }

    /// Says whether a relation is there before this file runs; nobody else sees the others yet.
    pub fn exists_before(self, name: &Name) -> bool {
        self.known.born(name) != Some(self.script.number)
    }
}
