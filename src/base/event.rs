//! Progress events of long-running work, and its interruption.
//!
//! Nothing here formats for a screen; the terminal decides how an event looks.

use crate::finding::Severity;

/// What a progress counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things: migrations, statements, tables.
    Items,
    Bytes,
}

#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A task began; `total` where its size is known.
    Began {
        /// Such as `applying migrations`.
        task: &'a str,
        total: Option<u64>,
        unit: Unit,
    },
    Advanced {
        done: u64,
        /// What is being worked on, such as `V3__agents.sql, statement 4 of 9`.
        note: &'a str,
    },
    /// The current task is over.
    Ended,
    /// A line for the log.
    Info(&'a str),
    /// A warning for the log.
    Warning(&'a str),
    /// The server sent a notice while a statement ran.
    Notice {
        /// NOTICE and INFO are notes, WARNING is a warning.
        severity: Severity,
        message: &'a str,
    },
}

/// The receiver of progress events.
pub type Watch<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

/// Ignores every event.
pub fn silent(_: Event<'_>) {}

/// A request to stop, raised by Ctrl-C or SIGTERM.
#[derive(Clone, Debug)]
pub struct Interrupt {
    raised: tokio::sync::watch::Sender<bool>,
    // Work that cleans up by itself holds a guard; all other work is dropped.
    guarded: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

/// While this guard lives, the work that holds it reacts to an interrupt by itself.
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
    pub fn raise(&self) {
        self.raised.send_replace(true);
    }

    pub fn is_raised(&self) -> bool {
        *self.raised.borrow()
    }

    pub async fn wait(&self) {
        let mut receiver = self.raised.subscribe();
        // The sender lives as long as `self`, so waiting ends only when the interrupt is raised.
        let _ = receiver.wait_for(|raised| *raised).await;
    }

    /// Declares that the caller cleans up by itself when interrupted.
    pub fn guard(&self) -> Guard {
        self.guarded
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Guard(std::sync::Arc::clone(&self.guarded))
    }

    pub fn is_guarded(&self) -> bool {
        self.guarded.load(std::sync::atomic::Ordering::SeqCst) > 0
    }
}
