//! Sends the requests of an object store's client with the program's own HTTP client.
//!
//! That client blocks, so each request has a thread of the worker's pool; bodies go through in pieces.

use std::io::{self, Read};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::{mpsc, oneshot};
use ureq::{Agent, Proxy, SendBody};

use crate::http;

/// The size of the pieces that an answer is read in.
const PIECE: usize = 64 << 10;
/// How many pieces may wait for their reader.
const WAITING: usize = 4;
/// How many connections are kept for the next request; as many as there are ever uploads at once.
const KEPT: usize = 16;

/// Makes clients with the settings of an object store.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let agent = agent(options).map_err(|source| object_store::Error::Generic {
            store: "HTTP",
            source,
        })?;
        let system = ClientConfigKey::NoSystemCertificates;
        Ok(HttpClient::new(Service {
            agent,
            trusts_the_system: options.get_config_value(&system).as_deref() != Some("true"),
        }))
    }
}

type Wrong = Box<dyn std::error::Error + Send + Sync>;

fn agent(options: &ClientOptions) -> Result<Agent, Wrong> {
    let value = |key: ClientConfigKey| options.get_config_value(&key);
    let is = |key: ClientConfigKey| value(key).is_some_and(|value| value == "true");
    let time = |key: ClientConfigKey| -> Result<Option<Duration>, Wrong> {
        let time = value(key).map(|text| humantime::parse_duration(&text));
        Ok(time.transpose()?)
    };
    if is(ClientConfigKey::Http2Only) {
        return Err("http2_only cannot be met: requests are sent by HTTP/1.1".into());
    }
    let mut authorities = Vec::new();
    if let Some(pem) = value(ClientConfigKey::ProxyCaCertificate) {
        authorities.push(CertificateDer::from_pem_slice(pem.as_bytes())?);
    }
    let tls = if is(ClientConfigKey::NoSystemCertificates) {
        http::trusting_only(&authorities)
    } else {
        http::trusting(&authorities)
    };
    let mut config = Agent::config_builder()
        .tls_config(
            tls.disable_verification(is(ClientConfigKey::AllowInvalidCertificates))
                .build(),
        )
        .https_only(!is(ClientConfigKey::AllowHttp))
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_idle_connections(KEPT)
        .max_idle_connections_per_host(KEPT)
        .timeout_global(time(ClientConfigKey::Timeout)?)
        .timeout_connect(time(ClientConfigKey::ConnectTimeout)?)
        .timeout_per_read(time(ClientConfigKey::ReadTimeout)?);
    if let Some(age) = time(ClientConfigKey::PoolIdleTimeout)? {
        config = config.max_idle_age(age);
    }
    if let Some(name) = value(ClientConfigKey::UserAgent) {
        config = config.user_agent(name);
    }
    if let Some(url) = value(ClientConfigKey::ProxyUrl) {
        let excludes = value(ClientConfigKey::ProxyExcludes);
        config = config.proxy(Some(proxy(&url, excludes.as_deref())?));
    }
    Ok(config.build().into())
}

fn proxy(url: &str, excludes: Option<&str>) -> Result<Proxy, ureq::Error> {
    let proxy = Proxy::new(url)?;
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(name) = proxy.username() {
        builder = builder.username(name);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    for host in excludes.unwrap_or_default().split(',').map(str::trim) {
        if !host.is_empty() {
            builder = builder.no_proxy(host);
        }
    }
    builder.build()
}

#[derive(Debug)]
struct Service {
    agent: Agent,
    trusts_the_system: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.uri().scheme_str() == Some("https") && self.trusts_the_system {
            http::system_roots()
                .map_err(|failure| HttpError::new(HttpErrorKind::Unknown, failure))?;
        }
        let agent = self.agent.clone();
        let (head, answered) = oneshot::channel();
        let (pieces, mut body) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || exchange(&agent, request, head, &pieces));
        let answered = answered
            .await
            .map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))??;
        let body = stream::poll_fn(move |context| body.poll_recv(context));
        Ok(answered.map(|()| HttpResponseBody::new(StreamBody::new(body))))
    }
}

type Head = oneshot::Sender<Result<Response<()>, HttpError>>;
type Pieces = mpsc::Sender<Result<Frame<Bytes>, HttpError>>;

/// Sends a request and streams its response, until the receiver is gone.
fn exchange(agent: &Agent, request: HttpRequest, head: Head, pieces: &Pieces) {
    let (parts, mut body) = match send(agent, request, &head) {
        Ok(answer) => answer.into_parts(),
        Err(error) => {
            // The receiver is gone if the request was cancelled.
            let _ = head.send(Err(in_kind(error)));
            return;
        }
    };
    if head.send(Ok(Response::from_parts(parts, ()))).is_err() {
        return;
    }
    let mut reader = body.as_reader();
    loop {
        let mut piece = vec![0; PIECE];
        let read = reader.read(&mut piece);
        let last = !matches!(read, Ok(1..));
        let passed = match read {
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                Ok(Frame::data(Bytes::from(piece)))
            }
            Err(error) => Err(in_kind(error.into())),
        };
        if pieces.blocking_send(passed).is_err() || last {
            return;
        }
    }
}

fn send(
    agent: &Agent,
    mut request: HttpRequest,
    head: &Head,
) -> Result<Response<ureq::Body>, ureq::Error> {
    let length = request.body().content_length();
    let has_body = length > 0 || matches!(*request.method(), Method::POST | Method::PUT);
    if !has_body {
        return agent.run(request.map(|_| ()));
    }
    // Without it the body would go in chunks, which stores do not take.
    request
        .headers_mut()
        .entry(CONTENT_LENGTH)
        .or_insert(length.into());
    let (parts, body) = request.into_parts();
    let mut sent = Sent {
        body,
        piece: Bytes::new(),
        head,
    };
    let body = SendBody::from_reader(&mut sent);
    agent.run(Request::from_parts(parts, body))
}

/// The body of a request; ends with an error if the request was cancelled, so that it is never completed.
struct Sent<'a> {
    body: HttpRequestBody,
    piece: Bytes,
    head: &'a Head,
}

impl Read for Sent<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.head.is_closed() {
            return Err(io::Error::other("the request was cancelled"));
        }
        while self.piece.is_empty() {
            // It is all in memory, so that there is always a next piece or none.
            match self.body.frame().now_or_never().flatten() {
                Some(frame) => {
                    let frame = frame.map_err(io::Error::other)?;
                    self.piece = frame.into_data().unwrap_or_default();
                }
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// Classifies an error for the retries of the object store's client.
fn in_kind(error: ureq::Error) -> HttpError {
    use io::ErrorKind as Io;
    let kind = match &error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_) => HttpErrorKind::Connect,
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::Io(error) => match error.kind() {
            Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable => {
                HttpErrorKind::Connect
            }
            Io::TimedOut => HttpErrorKind::Timeout,
            // A connection that was kept and that the store has closed meanwhile.
            Io::UnexpectedEof => HttpErrorKind::Request,
            Io::ConnectionAborted | Io::ConnectionReset | Io::BrokenPipe => {
                HttpErrorKind::Interrupted
            }
            _ => HttpErrorKind::Unknown,
        },
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::PutPayload;

    #[test]
    fn the_settings_of_a_store_reach_the_client() {
        let options = ClientOptions::new()
            .with_timeout(Duration::from_secs(180))
            .with_connect_timeout(Duration::from_millis(1500))
            .with_proxy_url("http://ada:secret@proxy.example:3128")
            .with_proxy_excludes("example.org, .example.com");
        let agent = agent(&options).unwrap();
        let config = agent.config();
        assert!(config.https_only() && !config.http_status_as_error());
        assert!(!config.tls_config().disable_verification());
        assert_eq!(config.timeouts().global, Some(Duration::from_secs(180)));
        assert_eq!(config.timeouts().connect, Some(Duration::from_millis(1500)));
        let proxy = config.proxy().unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
        assert_eq!(
            (proxy.username(), proxy.password()),
            (Some("ada"), Some("secret"))
        );
        for (url, past) in [
            ("https://example.org/x", true),
            ("https://a.example.com/x", true),
            ("https://example.net/x", false),
        ] {
            assert_eq!(proxy.is_no_proxy(&url.parse().unwrap()), past, "{url}");
        }
    }

    #[test]
    fn plain_http_needs_permission() {
        let strict = agent(&ClientOptions::new()).unwrap();
        let error = strict.get("http://127.0.0.1:1/").call().unwrap_err();
        assert!(matches!(error, ureq::Error::RequireHttpsOnly(_)), "{error}");
        let open = agent(&ClientOptions::new().with_allow_http(true)).unwrap();
        assert!(!open.config().https_only());
        let second = ClientOptions::new().with_http2_only();
        assert!(agent(&second).is_err());
    }

    #[test]
    fn a_cancelled_request_is_not_completed() {
        let (head, answered) = oneshot::channel();
        let payload: PutPayload = [Bytes::from_static(b"first"), Bytes::from_static(b"second")]
            .into_iter()
            .collect();
        let mut sent = Sent {
            body: payload.into(),
            piece: Bytes::new(),
            head: &head,
        };
        let mut piece = [0; 64];
        assert_eq!(sent.read(&mut piece).unwrap(), 5);
        drop(answered);
        assert!(sent.read(&mut piece).is_err());
    }

    #[test]
    fn a_body_goes_out_whole() {
        let (head, _answered) = oneshot::channel();
        let payload: PutPayload = [
            Bytes::from_static(b"a"),
            Bytes::new(),
            Bytes::from_static(b"bc"),
        ]
        .into_iter()
        .collect();
        let mut sent = Sent {
            body: payload.into(),
            piece: Bytes::new(),
            head: &head,
        };
        let mut text = String::new();
        sent.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
    }

    #[test]
    fn retryable_errors_are_classified() {
        let io = |kind: io::ErrorKind| ureq::Error::Io(kind.into());
        for (error, kind) in [
            (io(io::ErrorKind::ConnectionRefused), HttpErrorKind::Connect),
            (
                io(io::ErrorKind::ConnectionReset),
                HttpErrorKind::Interrupted,
            ),
            (io(io::ErrorKind::UnexpectedEof), HttpErrorKind::Request),
            (io(io::ErrorKind::TimedOut), HttpErrorKind::Timeout),
            (ureq::Error::HostNotFound, HttpErrorKind::Connect),
            (
                ureq::Error::Timeout(ureq::Timeout::Global),
                HttpErrorKind::Timeout,
            ),
            (
                ureq::Error::Timeout(ureq::Timeout::Connect),
                HttpErrorKind::Connect,
            ),
            // A certificate that is not trusted will not be trusted in a minute.
            (ureq::Error::Tls("not trusted"), HttpErrorKind::Unknown),
        ] {
            let text = format!("{error}");
            assert_eq!(in_kind(error).kind(), kind, "{text}");
        }
    }
}
