//! Owns what long work tells its watcher while it runs.
//!
//! The engine describes, the terminal decides how it looks; nothing here formats for a screen.

use crate::finding::Severity;

/// What a count counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things: migrations, statements, tables.
    Items,
    /// Bytes.
    Bytes,
}

/// One moment of long work.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A piece of work began; `total` where its size is known.
    Began {
        /// What is being done, such as `applying migrations`.
        task: &'a str,
        /// How much there is to do.
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
    },
    /// The current piece of work has come this far.
    Advanced {
        /// How much is done.
        done: u64,
        /// What is being worked on, such as `V3__agents.sql, statement 4 of 9`.
        note: &'a str,
    },
    /// The current piece of work is over.
    Ended,
    /// A line of the story worth keeping.
    Said(&'a str),
    /// A line of the story that needs attention.
    Warned(&'a str),
    /// The server said something while a statement ran.
    Notice {
        /// NOTICE and INFO are notes, WARNING is a warning.
        severity: Severity,
        /// The server's words.
        message: &'a str,
    },
}

/// Who is told; shared by everything that works long.
pub type Watch<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// Hears nothing; for work whose story nobody reads.
pub fn silent(_: Event<'_>) {}
