//! The thread that sends requests to an object store, so that readers and writers of archives can block on it.
//!
//! A thread and channels of its own, because archives are written and read by threads that compute, while the one runtime of
//! the program belongs to the database.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// A runtime on a thread of its own; it ends with its last clone.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    handle: Handle,
    _alive: Arc<oneshot::Sender<()>>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start() -> Result<Self> {
        let (alive, ended) = oneshot::channel::<()>();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a thread for the object store")?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("object-store".to_owned())
            .spawn(move || {
                // Ends by the sender's end, which is the last clone's.
                let _ = runtime.block_on(ended);
            })
            .context("starting a thread for the object store")?;
        Ok(Worker {
            handle,
            _alive: Arc::new(alive),
        })
    }

    /// Runs work on the thread and leaves its answer with `answer`.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        answer: mpsc::Sender<T>,
    ) -> AbortHandle {
        let begun = self.handle.spawn(async move {
            // The receiver is gone: the work was cancelled.
            let _ = answer.send(work.await);
        });
        begun.abort_handle()
    }

    /// Runs work on the thread whose answers go elsewhere.
    pub(super) fn go(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }

    /// Runs work on the thread and waits for its answer.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (give, take) = mpsc::channel();
        self.begin(work, give);
        take.recv().context("the object store's thread ended early")
    }
}
