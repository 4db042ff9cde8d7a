//! A TCP proxy in front of a PostgreSQL server that counts traffic, delays it, and breaks connections on command.
//!
//! ```text
//! let proxy = Proxy::start(&database.target);
//! let session = connect::open(&proxy.target(), &silent).await?;
//! proxy.reset();
//! … work on the session …
//! assert_eq!(proxy.round_trips(), 1);
//! proxy.cut_after(Cut::Messages(3));
//! ```
//!
//! It runs on its own thread, so it continues while a test blocks. It parses unencrypted traffic only: under TLS it still
//! counts round trips and bytes, but neither messages nor statements.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use af_db::pg::target::{Host, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// When the proxy closes a client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// After this many bytes from clients to the server.
    Bytes(u64),
    /// After this many whole messages from clients to the server; startup and TLS requests count.
    Messages(u64),
    /// After a statement that contains this text was sent to the server, before its answer returns.
    Statement(&'static str),
    /// Once, before this very statement is sent to the server.
    OnceBefore(&'static str),
    /// Once, after this very statement was sent to the server, before its answer returns.
    OnceAfter(&'static str),
}

/// What the proxy does with traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Passing,
    /// Connections are accepted and stay open, and nothing is passed on.
    Swallowed,
    /// Every connection is closed, including new ones.
    Closed,
}

#[derive(Default)]
struct Seen {
    connections: u64,
    turns: u64,
    bytes: u64,
    messages: u64,
    statements: Vec<String>,
    latency: Duration,
    slow_from: Option<(&'static str, Duration)>,
    cut: Option<Cut>,
}

struct Shared {
    seen: Mutex<Seen>,
    flow: watch::Sender<Flow>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy; dropping it closes every connection through it.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    target: Target,
    // Dropping it ends the thread.
    _alive: tokio::sync::oneshot::Sender<()>,
}

impl Proxy {
    /// Starts a proxy in front of the first host of a target.
    pub(crate) fn start(to: &Target) -> Proxy {
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            flow: watch::channel(Flow::Passing).0,
        });
        let (alive, ended) = tokio::sync::oneshot::channel();
        let (port, bound) = std::sync::mpsc::channel();
        let (host, state) = (to.hosts[0].clone(), Arc::clone(&shared));
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(async move {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                    let address = listener.local_addr().expect("an address");
                    port.send(address.port()).expect("the starter waits");
                    tokio::select! {
                        () = accept(listener, host, state) => {}
                        _ = ended => {}
                    }
                });
        });
        let port = bound.recv().expect("the proxy listens");
        Proxy {
            shared,
            target: to.with_address("127.0.0.1", port),
            _alive: alive,
        }
    }

    /// Returns the same database through the proxy.
    pub(crate) fn target(&self) -> Target {
        self.target.clone()
    }

    /// Counts how often a client had to wait for the server before it could continue; pipelined messages are one.
    pub(crate) fn round_trips(&self) -> u64 {
        self.shared.seen().turns
    }

    pub(crate) fn connections(&self) -> u64 {
        self.shared.seen().connections
    }

    /// Counts the messages of clients.
    pub(crate) fn messages(&self) -> u64 {
        self.shared.seen().messages
    }

    /// Counts the bytes of clients.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.seen().bytes
    }

    /// Returns the text of every statement of clients.
    pub(crate) fn statements(&self) -> Vec<String> {
        self.shared.seen().statements.clone()
    }

    /// Resets the counters.
    pub(crate) fn reset(&self) {
        let mut seen = self.shared.seen();
        *seen = Seen {
            latency: seen.latency,
            slow_from: seen.slow_from,
            cut: seen.cut,
            ..Seen::default()
        };
    }

    /// Delays all traffic by this much, in each direction.
    pub(crate) fn latency(&self, latency: Duration) {
        let mut seen = self.shared.seen();
        (seen.latency, seen.slow_from) = (latency, None);
    }

    /// Delays traffic from the next statement on that contains this text.
    pub(crate) fn slow_from(&self, text: &'static str, latency: Duration) {
        let mut seen = self.shared.seen();
        (seen.latency, seen.slow_from) = (Duration::ZERO, Some((text, latency)));
    }

    /// Closes a client's connection at a point of its traffic, counted from the last [`reset`](Self::reset).
    pub(crate) fn cut_after(&self, cut: Cut) {
        self.shared.seen().cut = Some(cut);
    }

    /// Closes every connection, and each new one at once.
    pub(crate) fn cut(&self) {
        self.shared.flow.send_replace(Flow::Closed);
    }

    /// Drops all traffic from now on; connections stay open and new ones are accepted.
    pub(crate) fn blackhole(&self) {
        self.shared.flow.send_replace(Flow::Swallowed);
    }

    /// Passes traffic on again, on new connections.
    pub(crate) fn restore(&self) {
        self.shared.seen().cut = None;
        self.shared.flow.send_replace(Flow::Passing);
    }
}

async fn accept(listener: TcpListener, host: Host, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        client.set_nodelay(true).expect("an open socket");
        shared.seen().connections += 1;
        let (host, shared) = (host.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // Either side may close the connection at any time; that is the purpose of the proxy.
            let _ = serve(client, &host, &shared).await;
        });
    }
}

async fn serve(client: TcpStream, host: &Host, shared: &Shared) -> io::Result<()> {
    if host.is_socket() {
        let path = format!("{}/.s.PGSQL.{}", host.name, host.port);
        let (read, write) = UnixStream::connect(path).await?.into_split();
        relay(client, read, write, shared).await
    } else {
        let server = TcpStream::connect((host.name.as_str(), host.port)).await?;
        server.set_nodelay(true)?;
        let (read, write) = server.into_split();
        relay(client, read, write, shared).await
    }
}

async fn relay(
    client: TcpStream,
    mut from_server: impl AsyncRead + Unpin,
    mut to_server: impl AsyncWrite + Unpin,
    shared: &Shared,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let mut flow = shared.flow.subscribe();
    let mut reader = Reader::default();
    let mut answered = true;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let now = *flow.borrow_and_update();
        match now {
            Flow::Closed => return Ok(()),
            Flow::Swallowed => {
                // Stays blocked even when the proxy is restored: a connection cannot lose bytes and continue.
                flow.wait_for(|flow| *flow == Flow::Closed).await.ok();
                return Ok(());
            }
            Flow::Passing => {}
        }
        tokio::select! {
            changed = flow.changed() => changed.map_err(io::Error::other)?,
            length = from_client.read(&mut up) => {
                let bytes = &up[..length?];
                if bytes.is_empty() {
                    return Ok(());
                }
                let (passing, ends, latency) = shared.seen().take(bytes, &mut reader, &mut answered);
                tokio::time::sleep(latency).await;
                to_server.write_all(&bytes[..passing]).await?;
                if ends {
                    return to_server.flush().await;
                }
            }
            length = from_server.read(&mut down) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                answered = true;
                let latency = shared.seen().latency;
                tokio::time::sleep(latency).await;
                to_client.write_all(&down[..length]).await?;
            }
        }
    }
}

impl Seen {
    /// Counts what a client sent; returns how much of it to pass on, whether to close the connection after it, and the delay.
    fn take(
        &mut self,
        bytes: &[u8],
        reader: &mut Reader,
        answered: &mut bool,
    ) -> (usize, bool, Duration) {
        // No one waits for an answer to Terminate.
        let farewell = reader.started && reader.buffer.is_empty() && bytes == [b'X', 0, 0, 0, 4];
        if *answered && !farewell {
            self.turns += 1;
            *answered = false;
        }
        let mut ends = None;
        for (position, byte) in bytes.iter().enumerate() {
            self.bytes += 1;
            if let Some(message) = reader.push(*byte) {
                self.messages += 1;
                let statement = message.statement.as_deref();
                match self.cut {
                    Some(Cut::OnceBefore(text)) if statement == Some(text) => {
                        self.cut = None;
                        ends = ends.or(Some((position + 1).saturating_sub(message.length)));
                    }
                    Some(Cut::OnceAfter(text)) if statement == Some(text) => {
                        self.cut = None;
                        ends = ends.or(Some(position + 1));
                    }
                    _ => {}
                }
                if let Some((text, latency)) = self.slow_from
                    && statement.is_some_and(|statement| statement.contains(text))
                {
                    (self.latency, self.slow_from) = (latency, None);
                }
                self.statements.extend(message.statement);
            }
            if ends.is_none() && self.is_cut_here() {
                ends = Some(position + 1);
            }
        }
        (ends.unwrap_or(bytes.len()), ends.is_some(), self.latency)
    }

    fn is_cut_here(&self) -> bool {
        match self.cut {
            Some(Cut::Bytes(limit)) => self.bytes >= limit,
            Some(Cut::Messages(limit)) => self.messages >= limit,
            Some(Cut::Statement(text)) => self
                .statements
                .iter()
                .any(|statement| statement.contains(text)),
            Some(Cut::OnceBefore(_) | Cut::OnceAfter(_)) | None => false,
        }
    }
}

/// Parses a client's messages byte by byte.
#[derive(Default)]
struct Reader {
    buffer: Vec<u8>,
    // Messages have a type byte after the startup message.
    started: bool,
}

struct Message {
    length: usize,
    statement: Option<String>,
}

impl Reader {
    fn push(&mut self, byte: u8) -> Option<Message> {
        self.buffer.push(byte);
        let typed = usize::from(self.started);
        let length = self.buffer.get(typed..typed + 4)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        if self.buffer.len() < typed + length as usize {
            return None;
        }
        let message = std::mem::take(&mut self.buffer);
        if !self.started {
            // Version 3.x; requests for TLS or cancelling have their own codes.
            self.started = message.get(4..6) == Some(&[0, 3][..]);
            let length = message.len();
            return Some(Message {
                length,
                statement: None,
            });
        }
        let text = |bytes: &[u8]| {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let body = &message[5..];
        let statement = match message[0] {
            b'Q' => Some(text(body)),
            // Skips the statement name.
            b'P' => {
                let name = body
                    .iter()
                    .position(|byte| *byte == 0)
                    .map_or(0, |end| end + 1);
                Some(text(&body[name..]))
            }
            _ => None,
        };
        Some(Message {
            length: message.len(),
            statement,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use af_db::event::silent;
    use af_db::pg::connect::{self, RetryLimits};
    use af_db::sql::safe::Sql;

    use super::*;
    use crate::support::server;

    #[tokio::test]
    async fn counts_delays_cuts_and_restores() {
        let database = server::database().await;
        let proxy = Proxy::start(&database.target);
        let session = connect::open(&proxy.target(), &silent).await.unwrap();
        proxy.reset();
        session.run(&Sql::new("SELECT 1")).await.unwrap();
        assert_eq!(
            (proxy.round_trips(), proxy.messages(), proxy.bytes()),
            (1, 1, 14)
        );
        assert_eq!(proxy.statements(), ["SELECT 1"]);

        proxy.latency(Duration::from_millis(40));
        let began = Instant::now();
        session.run(&Sql::new("SELECT 2")).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(80));
        proxy.latency(Duration::ZERO);

        // The third message after the reset never arrives, whatever it is.
        for cut in [Cut::Messages(2), Cut::Bytes(28)] {
            proxy.restore();
            let session = connect::open(&proxy.target(), &silent).await.unwrap();
            proxy.reset();
            proxy.cut_after(cut);
            session.run(&Sql::new("SELECT 3")).await.unwrap();
            // It was sent completely, and its answer is lost.
            session.run(&Sql::new("SELECT 4")).await.unwrap_err();
            assert_eq!(proxy.messages(), 2);
            assert!(session.is_closed());
        }

        proxy.restore();
        proxy.cut();
        assert!(
            connect::open_with(&proxy.target(), &RetryLimits::ONCE, &silent)
                .await
                .is_err()
        );
        proxy.restore();
        connect::open(&proxy.target(), &silent).await.unwrap();
    }
}
