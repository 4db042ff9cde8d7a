//! A statement of a migration file with its tokens, which are read when a rule first asks for them.

use std::cell::OnceCell;

use crate::sql::class::Class;
use crate::sql::phrase::Phrase;
use crate::sql::split::Statement;
use crate::sql::token::{Token, code_in};

/// How many tokens of one statement are looked at; rows of an `INSERT` beyond that say nothing new.
const TOKENS: usize = 20_000;

/// A statement with its tokens.
pub struct ParsedStatement<'a> {
    pub statement: Statement<'a>,
    tokens: OnceCell<Vec<Token>>,
}

impl<'a> ParsedStatement<'a> {
    pub fn new(statement: Statement<'a>) -> Self {
        ParsedStatement {
            statement,
            tokens: OnceCell::new(),
        }
    }

    /// Returns the statement as a phrase.
    pub fn phrase(&self) -> Phrase<'_> {
        let text = self.statement.text;
        let tokens = self
            .tokens
            .get_or_init(|| code_in(text, self.statement.quoting).take(TOKENS).collect());
        Phrase::new(text, tokens)
    }

    /// Returns what it is.
    pub fn class(&self) -> Class {
        self.statement.class
    }
}
