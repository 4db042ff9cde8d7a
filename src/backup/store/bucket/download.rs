//! Streams one object from the store, a few pieces ahead of the reader.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver};

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::GetResult;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::errors;
use super::worker::Worker;

/// Pieces that may wait to be read.
const AHEAD: usize = 16;

/// An object being read.
pub(super) struct Download {
    piece: Bytes,
    // The store's thread sends a piece per request, so that it never runs far ahead of the reader.
    wishes: UnboundedSender<()>,
    pieces: Receiver<io::Result<Bytes>>,
}

impl Download {
    pub(super) fn new(worker: &Worker, shown: &str, got: GetResult) -> Self {
        let (wishes, mut wished) = unbounded_channel();
        let (give, pieces) = mpsc::channel();
        for _ in 0..AHEAD {
            // The receiver is held by the work that begins below.
            let _ = wishes.send(());
        }
        let shown = shown.to_owned();
        worker.go(async move {
            let mut stream = got.into_stream();
            while wished.recv().await.is_some() {
                let Some(piece) = stream.next().await else {
                    return;
                };
                let piece = piece.map_err(|error| errors::as_io(&shown, "reading", &error));
                let ended = piece.is_err();
                if give.send(piece).is_err() || ended {
                    return;
                }
            }
        });
        Download {
            piece: Bytes::new(),
            wishes,
            pieces,
        }
    }
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.piece = piece?,
                // The sender is gone: all has come.
                Err(_) => return Ok(0),
            }
            let _ = self.wishes.send(());
        }
        let now = into.len().min(self.piece.len());
        into[..now].copy_from_slice(&self.piece.split_to(now));
        Ok(now)
    }
}
