//! Cancels the running statement of a session from another connection.
//!
//! The driver's own cancel closes the connection as soon as the request is sent, which crashes PgBouncer 1.18. This one
//! waits, as libpq does, until the server has closed the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::Result;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, NoTls};

use crate::pg::server_error::ServerError;
use crate::pg::target::Host;
use crate::pg::tls::Encryption;

/// Timeout of a cancel request.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server a session is connected to, and its encryption.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) host: Host,
    pub(super) encryption: Option<Encryption>,
}

#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    endpoint: Endpoint,
}

impl Canceller {
    pub(super) fn new(token: CancelToken, endpoint: Endpoint) -> Self {
        Canceller { token, endpoint }
    }

    /// Sends the cancel request, with the same TLS mode as the session itself, and waits until it was read.
    ///
    /// The server does not report whether anything was cancelled; a cancelled statement fails with 57014.
    pub async fn cancel(&self) -> Result<()> {
        tokio::time::timeout(PATIENCE, self.send())
            .await
            .map_err(|_| anyhow::anyhow!("the server did not accept the cancel request"))?
    }

    async fn send(&self) -> Result<()> {
        let host = &self.endpoint.host;
        #[cfg(unix)]
        if host.is_socket() {
            let path = format!("{}/.s.PGSQL.{}", host.name, host.port);
            let stream = tokio::net::UnixStream::connect(path).await?;
            return self.send_over(stream).await;
        }
        let stream = match host.address {
            Some(address) => TcpStream::connect((address, host.port)).await?,
            None => TcpStream::connect((host.name.as_str(), host.port)).await?,
        };
        self.send_over(stream).await
    }

    async fn send_over<S>(&self, stream: S) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let sent = match &self.endpoint.encryption {
            Some(connector) => {
                let mut connector = connector.clone();
                let tls = MakeTlsConnect::<Patient<S>>::make_tls_connect(
                    &mut connector,
                    &self.endpoint.host.name,
                )?;
                self.token
                    .cancel_query_raw(Patient(stream), PatientTls(tls))
                    .await
            }
            None => self.token.cancel_query_raw(Patient(stream), NoTls).await,
        };
        Ok(sent.map_err(ServerError::from)?)
    }
}

/// A stream that waits until the peer closes the connection.
struct Patient<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        ready!(Pin::new(&mut stream.0).poll_flush(context))?;
        loop {
            let mut ignored = [0; 64];
            let mut buffer = ReadBuf::new(&mut ignored);
            // However the peer closes the connection, it has read the request.
            match ready!(Pin::new(&mut stream.0).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: TlsStream + Unpin> TlsStream for Patient<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

/// Encrypts like the inner connector, and does not close the TLS session early either.
struct PatientTls<T>(T);

impl<S, T> TlsConnect<S> for PatientTls<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Patient<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, T::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = self.0.connect(stream);
        Box::pin(async move { Ok(Patient(connecting.await?)) })
    }
}
