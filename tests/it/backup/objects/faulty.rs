//! A proxy before an object store that answers badly, lies and loses things, one request a connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong, with the requests it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The first so many parts are answered with 500.
    FirstParts(u32),
    /// Every write is answered with 500.
    EveryWrite,
    /// Every write takes this long.
    Slow(Duration),
    /// No write is ever answered.
    Silence,
    /// The store has no room for parts.
    Full,
    /// The first so many parts are cut off in the middle.
    CutParts(u32),
    /// The second part is taken and not kept.
    SwallowPart,
    /// The last part is left out when the parts are put together.
    DropPart,
    /// One bit of the second part flips on its way.
    FlipBit,
    /// The parts are put together and the answer is 500.
    LostComplete,
    /// Reading a dump is cut off in the middle, time and again.
    CutReads,
    /// Reading a dump gives its first half as if that were all.
    ShortReads,
    /// Reading is forbidden.
    Forbidden,
}

#[derive(Default)]
struct Seen {
    parts: u32,
    faults: u32,
}

/// A running proxy.
pub(super) struct Faulty {
    pub(super) port: u16,
    fault: Arc<Mutex<(Fault, Seen)>>,
    _alive: tokio::sync::oneshot::Sender<()>,
}

impl Faulty {
    /// Starts one before a port of this machine.
    pub(super) fn start(to: u16) -> Self {
        let fault = Arc::new(Mutex::new((Fault::None, Seen::default())));
        let (alive, ended) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&fault);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                tell.send(listener.local_addr().expect("an address").port())
                    .expect("a waiting receiver");
                let accept = async {
                    while let Ok((client, _)) = listener.accept().await {
                        tokio::spawn(serve(client, to, Arc::clone(&shared)));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = ended => {}
                }
            });
        });
        Faulty {
            port: told.recv().expect("a port"),
            fault,
            _alive: alive,
        }
    }

    /// From now on this goes wrong.
    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = (fault, Seen::default());
    }

    /// How often something went wrong since then.
    pub(super) fn struck(&self) -> u32 {
        let shared = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1.faults
    }
}

struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    fn is_part(&self) -> bool {
        self.line().starts_with("PUT") && self.line().contains("partNumber=")
    }

    fn is_complete(&self) -> bool {
        self.line().starts_with("POST") && self.line().contains("uploadId=")
    }

    fn is_write(&self) -> bool {
        !self.line().starts_with("GET") && !self.line().starts_with("HEAD")
    }

    fn is_read_of_dump(&self) -> bool {
        self.line().starts_with("GET") && self.line().contains("database.dump")
    }
}

/// What is done to one request.
enum Deed {
    Pass,
    Answer(&'static str),
    Wait(Duration),
    Never,
    Cut,
    PassThenAnswer(&'static str),
    Truncate,
    Shorten,
}

const BROKEN: &str =
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const FULL: &str =
    "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TAKEN: &str = "HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const DENIED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn decide(request: &mut Request, shared: &Mutex<(Fault, Seen)>) -> Deed {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let (fault, seen) = &mut *shared;
    seen.parts += u32::from(request.is_part());
    let deed = match *fault {
        Fault::FirstParts(count) if request.is_part() && seen.parts <= count => {
            Deed::Answer(BROKEN)
        }
        Fault::EveryWrite if request.is_write() => Deed::Answer(BROKEN),
        Fault::Slow(time) if request.is_write() => Deed::Wait(time),
        Fault::Silence if request.is_part() => Deed::Never,
        Fault::Full if request.is_part() => Deed::Answer(FULL),
        Fault::CutParts(count) if request.is_part() && seen.parts <= count => Deed::Cut,
        Fault::SwallowPart if request.is_part() && seen.parts == 2 => Deed::Answer(TAKEN),
        Fault::DropPart if request.is_complete() => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let last = text.rfind("<Part>").expect("parts");
            let end = text.rfind("</Part>").expect("parts") + "</Part>".len();
            request.body = format!("{}{}", &text[..last], &text[end..]).into_bytes();
            Deed::Wait(Duration::ZERO)
        }
        Fault::FlipBit if request.is_part() && seen.parts == 2 => {
            let middle = request.body.len() / 2;
            request.body[middle] ^= 4;
            Deed::Wait(Duration::ZERO)
        }
        Fault::LostComplete if request.is_complete() && seen.faults == 0 => {
            Deed::PassThenAnswer(BROKEN)
        }
        Fault::CutReads if request.is_read_of_dump() && seen.faults < 3 => Deed::Truncate,
        Fault::ShortReads if request.is_read_of_dump() => Deed::Shorten,
        Fault::Forbidden => Deed::Answer(DENIED),
        _ => Deed::Pass,
    };
    seen.faults += u32::from(!matches!(deed, Deed::Pass));
    deed
}

async fn serve(mut client: TcpStream, to: u16, shared: Arc<Mutex<(Fault, Seen)>>) {
    let Some(mut request) = receive(&mut client).await else {
        return;
    };
    let deed = decide(&mut request, &shared);
    let answer = match deed {
        Deed::Answer(text) => text.as_bytes().to_vec(),
        Deed::Cut => return,
        Deed::Never => {
            std::future::pending::<()>().await;
            return;
        }
        Deed::Wait(time) => {
            tokio::time::sleep(time).await;
            forward(to, &request).await
        }
        Deed::PassThenAnswer(text) => {
            forward(to, &request).await;
            text.as_bytes().to_vec()
        }
        Deed::Truncate => {
            let mut answer = forward(to, &request).await;
            answer.truncate(answer.len() / 2);
            answer
        }
        Deed::Shorten => shorten(&forward(to, &request).await),
        Deed::Pass => forward(to, &request).await,
    };
    // A client that went away has its reasons.
    let _ = client.write_all(&answer).await;
    let _ = client.shutdown().await;
}

/// Returns half of a body, with a matching length.
fn shorten(answer: &[u8]) -> Vec<u8> {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map_or(answer.len(), |end| end + 4);
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let half = &answer[end..end + (answer.len() - end) / 2];
    let mut short: String = head
        .lines()
        .filter(|line| !line.is_empty() && !line.to_lowercase().starts_with("content-length"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    short.push_str(&format!("Content-Length: {}\r\n\r\n", half.len()));
    [short.as_bytes(), half].concat()
}

async fn receive(client: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match client.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end);
    let length = header(&head, "content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    while body.len() < length {
        match client.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => body.extend_from_slice(&buffer[..read]),
        }
    }
    Some(Request { head, body })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Sends the request on with its length as it is now, and gives the whole answer.
async fn forward(to: u16, request: &Request) -> Vec<u8> {
    let mut head = String::new();
    for line in request.head.lines().filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if !["connection", "content-length"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
        {
            head.push_str(line);
            head.push_str("\r\n");
        }
    }
    let length = request.body.len();
    head.push_str(&format!(
        "Connection: close\r\nContent-Length: {length}\r\n\r\n"
    ));
    let mut answer = Vec::new();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return answer;
    };
    let sent = async {
        server.write_all(head.as_bytes()).await?;
        server.write_all(&request.body).await?;
        server.read_to_end(&mut answer).await
    };
    let _ = sent.await;
    answer
}
