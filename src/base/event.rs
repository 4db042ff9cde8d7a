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
    Info(&'a str),
    /// A line of the story that needs attention.
    Warning(&'a str),
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

/// The wish to stop, raised by Ctrl-C or SIGTERM and heard by whoever must tidy up first.
#[derive(Clone, Debug)]
pub struct Interrupt {
    raised: tokio::sync::watch::Sender<bool>,
    // Whoever tidies up by itself says so; everything else may simply be dropped.
    guarded: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

/// While it lives, an interrupt is answered by the work itself.
#[derive(Debug)]
pub struct Guard(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Interrupt {
            raised: tokio::sync::watch::Sender::new(false),
            guarded: std::sync::Arc::default(),
        }
    }
}

impl Interrupt {
    /// Raises the wish.
    pub fn raise(&self) {
        self.raised.send_replace(true);
    }

    /// Says whether it was raised.
    pub fn is_raised(&self) -> bool {
        *self.raised.borrow()
    }

    /// Waits until it is raised.
    pub async fn wait(&self) {
        let mut receiver = self.raised.subscribe();
        // The sender lives as long as `self`, so waiting can only end by the wish.
        let _ = receiver.wait_for(|raised| *raised).await;
    }

    /// Promises that the work tidies up by itself when the wish is raised.
    pub fn guard(&self) -> Guard {
        self.guarded
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Guard(std::sync::Arc::clone(&self.guarded))
    }

    /// Says whether any work has promised to tidy up.
    pub fn is_guarded(&self) -> bool {
        self.guarded.load(std::sync::atomic::Ordering::SeqCst) > 0
    }
}
