//! Passes bytes from the thread that unpacks them to a thread that inspects them, so that two CPUs work at once.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::Result;

use crate::error::Failure;

/// How much is handed over at once, and how many of that may be on their way.
const PIECE: usize = 256 << 10;
const PIECES: usize = 4;

/// Runs `fill` on this thread while `into` consumes its output on another.
pub fn across<W: Write + Send>(
    into: &mut W,
    fill: impl FnOnce(&mut dyn Write) -> Result<u64>,
) -> Result<u64> {
    thread::scope(|scope| {
        // A channel, because the two threads share nothing but the pieces; bounded, so that memory does not grow.
        let (sender, pieces) = sync_channel::<Vec<u8>>(PIECES);
        let (emptied, spare) = channel();
        let taking = scope.spawn(move || take(into, &pieces, &emptied));
        let mut relay = PipeWriter {
            sender,
            spare,
            held: Vec::with_capacity(PIECE),
        };
        let filled = fill(&mut relay).and_then(|count| {
            relay.flush()?;
            Ok(count)
        });
        drop(relay);
        let taken = match taking.join() {
            Ok(taken) => taken,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match (filled, taken) {
            // Damage is the cause of any other failure.
            (Err(error), Err(_)) if error.is::<Failure>() => Err(error),
            (_, Err(error)) => Err(anyhow::Error::from(error).context("reading the dump")),
            (filled, Ok(())) => filled,
        }
    })
}

fn take(
    into: &mut impl Write,
    pieces: &Receiver<Vec<u8>>,
    emptied: &Sender<Vec<u8>>,
) -> io::Result<()> {
    for mut piece in pieces {
        into.write_all(&piece)?;
        piece.clear();
        // The receiver may be gone once the last piece is sent.
        let _ = emptied.send(piece);
    }
    Ok(())
}

struct PipeWriter {
    sender: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
    held: Vec<u8>,
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let next = self.spare.try_recv().unwrap_or_default();
        let full = std::mem::replace(&mut self.held, next);
        let ended = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has stopped");
        self.sender.send(full).map_err(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and then no more.
    struct Small(Vec<u8>, usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() + bytes.len() > self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pass(size: usize, room: usize) -> Result<Vec<u8>> {
        let mut small = Small(Vec::new(), room);
        let sent: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let count = across(&mut small, |into| {
            for piece in sent.chunks(1000) {
                into.write_all(piece)?;
            }
            Ok(sent.len() as u64)
        })?;
        assert_eq!(count, size as u64);
        assert_eq!(small.0, sent);
        Ok(small.0)
    }

    #[test]
    fn all_bytes_arrive_or_an_error() {
        for size in [0, 1, PIECE, PIECE * 10 + 7] {
            pass(size, usize::MAX).unwrap();
        }
        let error = pass(PIECE * 20, PIECE * 2).unwrap_err();
        let kind = error.downcast_ref::<io::Error>().unwrap().kind();
        assert_eq!(kind, io::ErrorKind::StorageFull);
    }

    #[test]
    fn damage_is_reported_before_its_consequences() {
        let mut small = Small(Vec::new(), 10);
        let error = across(&mut small, |into| {
            let _ = into.write_all(&[0; PIECE]);
            Err(crate::error::fail("the checksum differs").into())
        });
        assert_eq!(error.unwrap_err().to_string(), "the checksum differs");
    }
}
