//! An output stream with its own writer thread, so that a slow or closed reader never stops a run.
//!
//! Log lines wait in a queue. When it is full, the run waits for a short time; after that lines are dropped, and their
//! number is written when the reader continues.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many bytes may wait for the reader.
const QUEUE: usize = 1 << 20;

/// How long a run waits for a reader, all waits together, until the reader has caught up once.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of the program waits for a reader who takes nothing.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many bytes are handed over at once: a pipe takes so many as a whole.
const PIECE: usize = 4096;

/// How long to wait before a stream is tried again that takes nothing at the moment.
const AGAIN: Duration = Duration::from_millis(20);

static STOPPING: AtomicBool = AtomicBool::new(false);

/// Ends all waits for readers and answers, because the program is to stop.
pub fn stop() {
    STOPPING.store(true, Ordering::SeqCst);
}

/// Whether the program is to stop.
pub fn is_stopping() -> bool {
    STOPPING.load(Ordering::SeqCst)
}

/// One stream and the thread that writes it.
pub(crate) struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: VecDeque<Vec<u8>>,
    /// How many bytes wait, those that are being written included.
    waiting: usize,
    /// How many bytes were taken in all.
    taken: u64,
    patience: Duration,
    dropped: u64,
    /// Why the stream cannot be written.
    error: Option<std::io::Error>,
    closed: bool,
}

impl Sink {
    /// Starts the writer thread of a stream.
    pub(crate) fn start(stream: impl Write + Send + 'static) -> Sink {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                waiting: 0,
                taken: 0,
                patience: PATIENCE,
                dropped: 0,
                error: None,
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || theirs.write(stream));
        Sink { shared }
    }

    /// Writes a line of the log, or drops it when the reader stands still.
    pub(crate) fn line(&self, text: &str) {
        let size = text.len() + 1;
        let mut state = self.shared.lock();
        let began = Instant::now();
        while !state.closed && state.waiting > 0 && state.waiting + size > QUEUE {
            let left = state.patience.saturating_sub(began.elapsed());
            if left.is_zero() || is_stopping() {
                state.patience = left;
                state.dropped += 1;
                return;
            }
            state = self.shared.wait(state, left.min(AGAIN));
        }
        state.patience = state.patience.saturating_sub(began.elapsed());
        self.put(state, format!("{text}\n").into_bytes());
    }

    /// Writes what matters most, however much waits already.
    pub(crate) fn keep(&self, bytes: &[u8]) {
        let state = self.shared.lock();
        self.put(state, bytes.to_vec());
    }

    /// Draws what the next drawing replaces; it is left out when the reader is behind.
    pub(crate) fn draw(&self, bytes: &[u8]) {
        let state = self.shared.lock();
        if state.waiting < QUEUE / 16 {
            self.put(state, bytes.to_vec());
        }
    }

    fn put(&self, mut state: MutexGuard<'_, State>, bytes: Vec<u8>) {
        if !state.closed {
            state.waiting += bytes.len();
            state.queue.push_back(bytes);
            self.shared.changed.notify_all();
        }
    }

    /// Writes a whole text and waits until the reader has taken it; gives up when the program is to stop.
    pub(crate) fn all(&self, text: &str) -> std::io::Result<()> {
        self.keep(text.as_bytes());
        let mut state = self.shared.lock();
        loop {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if state.waiting == 0 || state.closed {
                return Ok(());
            }
            if is_stopping() {
                return Err(ErrorKind::TimedOut.into());
            }
            state = self.shared.wait(state, AGAIN);
        }
    }

    /// Waits until everything is written, as long as the reader takes anything at all.
    pub(crate) fn finish(&self) {
        let mut state = self.shared.lock();
        let mut taken = (state.taken, Instant::now());
        while state.waiting > 0 && !state.closed {
            if state.taken != taken.0 {
                taken = (state.taken, Instant::now());
            }
            let patience = if is_stopping() {
                FAREWELL / 5
            } else {
                FAREWELL
            };
            if taken.1.elapsed() > patience {
                return;
            }
            state = self.shared.wait(state, AGAIN);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes what comes, for as long as the program runs.
    fn write(&self, mut stream: impl Write) {
        loop {
            let mut state = self.lock();
            while state.queue.is_empty() {
                state = self.wait(state, Duration::from_secs(3600));
            }
            let bytes = state.queue.pop_front().unwrap_or_default();
            drop(state);
            for piece in bytes.chunks(PIECE) {
                let written = put_through(&mut stream, piece);
                let mut state = self.lock();
                state.waiting = state.waiting.saturating_sub(piece.len());
                state.taken += piece.len() as u64;
                if let Err(error) = written {
                    state.closed = error.kind() == ErrorKind::BrokenPipe;
                    state.error = (!state.closed).then_some(error);
                }
                if state.waiting == 0 {
                    state.patience = PATIENCE;
                    let dropped = std::mem::take(&mut state.dropped);
                    if dropped > 0 {
                        let note =
                            format!("{dropped} log lines dropped: the reader was too slow\n");
                        state.waiting = note.len();
                        state.queue.push_back(note.into_bytes());
                    }
                }
                if state.closed {
                    state.queue.clear();
                    state.waiting = 0;
                }
                self.changed.notify_all();
            }
        }
    }
}

/// Writes a piece, also to a stream that another process has made non-blocking.
fn put_through(stream: &mut impl Write, mut piece: &[u8]) -> std::io::Result<()> {
    while !piece.is_empty() {
        match stream.write(piece) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => piece = &piece[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader who takes a piece for each permission.
    struct Reader {
        permission: mpsc::Receiver<()>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.permission.recv().map_err(|_| ErrorKind::BrokenPipe)?;
            self.read.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn reader() -> (Sink, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (give, permission) = mpsc::channel();
        let read = Arc::default();
        let sink = Sink::start(Reader {
            permission,
            read: Arc::clone(&read),
        });
        (sink, give, read)
    }

    #[test]
    fn a_reader_who_stands_still_loses_lines_and_is_told_how_many() {
        let (sink, give, read) = reader();
        let line = "x".repeat(QUEUE / 8);
        // The queue takes seven; the rest is dropped once the patience is used up.
        for _ in 0..10 {
            sink.line(&line);
        }
        sink.keep(b"the end\n");
        for _ in 0..1000 {
            give.send(()).unwrap();
        }
        sink.finish();
        let read = String::from_utf8(read.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = read.lines().filter(|line| !line.starts_with('x')).collect();
        assert_eq!(
            lines,
            ["the end", "3 log lines dropped: the reader was too slow"]
        );
    }

    #[test]
    fn a_reader_who_goes_away_is_no_error() {
        let (sink, give, _) = reader();
        drop(give);
        sink.line("a");
        sink.all("b").unwrap();
        sink.finish();
    }
}
