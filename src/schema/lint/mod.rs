//! Checks migrations by their text: rules, allowed findings and the baseline.
//!
//! Works without a database, so it knows neither sizes nor objects outside the files; the observed effects
//! on a shadow database override it. Never runs a statement.

pub mod alter;
pub mod column;
pub mod declared_so_far;
pub mod expression;
pub mod file_facts;
pub mod parsed_statement;
pub mod rule;
pub mod statement_context;
pub mod types;

pub mod allow;
pub mod apply_observations;
pub mod baseline;
pub mod check;
pub mod rules;

/// A migration file.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The path as the user would type it.
    pub path: &'a str,
    /// What stands in it.
    pub text: &'a str,
    /// Whether it undoes another migration.
    pub down: bool,
    /// Whether its layout runs it in one transaction; a `no-transaction` directive says no by itself.
    pub in_transaction: bool,
    /// Whether it is looked at, or only read for what it makes.
    pub checked: bool,
}

impl<'a> Source<'a> {
    /// Takes a file of af-db's own layout, which runs in one transaction.
    pub fn new(path: &'a str, text: &'a str) -> Self {
        Source {
            path,
            text,
            down: path.ends_with(".down.sql") || path.ends_with("/down.sql"),
            in_transaction: true,
            checked: true,
        }
    }
}
