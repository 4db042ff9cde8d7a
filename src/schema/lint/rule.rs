//! A rule: its explanation, the safe alternative and the function that checks.

use crate::finding::Severity;
use crate::lint::alter::AlterAction;
use crate::lint::declared_so_far::{DeclaredSoFar, StatementId};
use crate::lint::statement_context::{LintFile, StatementContext};

#[derive(Debug)]
pub struct Rule {
    /// The stable code, such as `R02`.
    pub code: &'static str,
    /// The name in words, such as `add-column-volatile-default`.
    pub name: &'static str,
    /// How much it matters where nothing else is said.
    pub severity: Severity,
    /// Whether the rule can neither be disabled nor allowed.
    pub required: bool,
    /// Why it matters: what PostgreSQL does, and what follows.
    pub why: &'static str,
    /// What to write instead.
    pub safe: &'static str,
    /// The versions of PostgreSQL it holds for.
    pub versions: &'static str,
    /// A statement it speaks about.
    pub bad: &'static str,
    /// A statement it is silent about.
    pub good: &'static str,
    /// What it looks at.
    pub check: Check,
}

/// What a rule looks at, and how.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// Each part of an `ALTER TABLE`.
    AlterAction(fn(&AlterAction<'_>, &StatementContext<'_>) -> Option<Hit>),
    /// Each statement.
    Statement(fn(&StatementContext<'_>) -> Option<Hit>),
    /// Each migration file as a whole.
    File(fn(&LintFile<'_>, &DeclaredSoFar) -> Vec<(usize, Hit)>),
    /// What all files together leave behind.
    AllFiles(fn(&DeclaredSoFar) -> Vec<(StatementId, Hit)>),
}

/// What a rule found in the thing it looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where in the statement, in bytes.
    pub start: usize,
    /// The object it speaks of.
    pub subject: String,
    /// What is wrong and what follows.
    pub message: String,
    /// The safe form with the names filled in, where it can be given.
    pub help: Option<String>,
}

impl Hit {
    /// Speaks of an object.
    pub fn new(subject: impl ToString, message: impl Into<String>) -> Self {
        Hit {
            start: 0,
            subject: subject.to_string(),
            message: message.into(),
            help: None,
        }
    }

    /// Returns where in the statement.
    pub fn start(mut self, start: usize) -> Self {
        self.start = start;
        self
    }

    /// Returns the safe form with the names filled in.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
