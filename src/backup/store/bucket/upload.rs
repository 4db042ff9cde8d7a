//! Streams one object to the store in parts, a few of them in flight at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::Result;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::task::AbortHandle;

use super::Bucket;
use super::errors;
use crate::file_encoding::Sink;

/// Parts on their way at once.
const IN_FLIGHT: usize = 3;
/// Parts on their way at once of all that is written of an archive: each is held in memory until it has arrived.
const IN_ALL: usize = 6;

/// An object being written.
pub(super) struct Upload {
    bucket: Bucket,
    path: Path,
    part: usize,
    buffer: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
    in_flight: usize,
    sent: Vec<AbortHandle>,
    // The parts are sent by the store's thread; each reports its result here.
    give: Sender<Result<(), Error>>,
    take: Receiver<Result<(), Error>>,
    given_up: Arc<AtomicBool>,
}

impl Upload {
    pub(super) fn new(bucket: Bucket, path: Path, part: usize, given_up: Arc<AtomicBool>) -> Self {
        let (give, take) = mpsc::channel();
        Upload {
            bucket,
            path,
            part,
            buffer: Vec::new(),
            parts: None,
            in_flight: 0,
            sent: Vec::new(),
            give,
            take,
            given_up,
        }
    }

    /// Sends what is held as the next part.
    fn send(&mut self) -> io::Result<()> {
        let payload = PutPayload::from(std::mem::take(&mut self.buffer));
        if self.parts.is_none() {
            let (store, path) = (Arc::clone(&self.bucket.store), self.path.clone());
            let begun = self.wait(async move { store.put_multipart(&path).await })?;
            self.parts = Some(begun);
        }
        while self.in_flight >= self.most() {
            self.settle()?;
        }
        if let Some(parts) = &mut self.parts {
            let sent = self
                .bucket
                .worker
                .begin(parts.put_part(payload), self.give.clone());
            self.sent.retain(|part| !part.is_finished());
            self.sent.push(sent);
            self.in_flight += 1;
        }
        Ok(())
    }

    /// Returns how many parts may be in flight: fewer if more objects are written at once.
    fn most(&self) -> usize {
        // The archive holds one of these, and each of its uploads another.
        let uploads = Arc::strong_count(&self.given_up).saturating_sub(1);
        (IN_ALL / uploads.max(1)).clamp(1, IN_FLIGHT)
    }

    /// Waits until one part has arrived.
    fn settle(&mut self) -> io::Result<()> {
        let told = listen(&self.take, &self.given_up)?;
        self.in_flight -= 1;
        told.map_err(|error| self.trouble(&error))
    }

    /// Runs a request and waits for it, unless the work is given up.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> io::Result<T> {
        let (give, take) = mpsc::channel();
        self.bucket.worker.begin(work, give);
        listen(&take, &self.given_up)?.map_err(|error| self.trouble(&error))
    }

    fn trouble(&self, error: &Error) -> io::Error {
        errors::as_io(&self.bucket.shown, "writing to", error)
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.parts.is_none() {
            let payload = PutPayload::from(std::mem::take(&mut self.buffer));
            let (store, path) = (Arc::clone(&self.bucket.store), self.path.clone());
            self.wait(async move { store.put(&path, payload).await })?;
            return Ok(());
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        while self.in_flight > 0 {
            self.settle()?;
        }
        if let Some(mut parts) = self.parts.take() {
            self.wait(async move {
                let completed = parts.complete().await;
                if completed.is_err() {
                    // What was sent is paid for until it is removed.
                    let _ = parts.abort().await;
                }
                completed
            })?;
        }
        Ok(())
    }
}

/// Waits for an answer or the cancellation.
fn listen<T>(take: &Receiver<T>, given_up: &AtomicBool) -> io::Result<T> {
    loop {
        match take.recv_timeout(Duration::from_millis(100)) {
            Ok(told) => return Ok(told),
            Err(RecvTimeoutError::Timeout) if !given_up.load(Ordering::Relaxed) => {}
            Err(_) => return Err(io::Error::other("the upload was cancelled")),
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(self.part);
        }
        // Parts of one size: some stores take no others.
        let now = bytes.len().min(self.part - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..now]);
        if self.buffer.len() == self.part {
            self.send()?;
        }
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Upload {
    fn complete(mut self: Box<Self>) -> Result<()> {
        Ok(self.finish()?)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        for part in &self.sent {
            part.abort();
        }
        if let Some(mut parts) = self.parts.take() {
            // Incomplete uploads are billed; those that stay in spite of this are left to the bucket's lifecycle rule.
            let (give, take) = mpsc::channel();
            self.bucket
                .worker
                .begin(async move { parts.abort().await }, give);
            let _ = take.recv_timeout(Duration::from_secs(10));
        }
    }
}
