//! Reads the process id that the server sent in the handshake, which the driver does not expose.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::CancelToken;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// A cancel request is the only message that contains the process id, so one is written to a buffer and parsed.
pub(super) async fn process_id(token: &CancelToken) -> Result<i32> {
    let mut written = Vec::new();
    token
        .cancel_query_raw(Recorder(&mut written), Passing)
        .await
        .context("reading the process id of the handshake")?;
    // The request ends with process id and secret key, four bytes each; TLS negotiation may stand before it.
    let id = written
        .len()
        .checked_sub(8)
        .and_then(|start| written.get(start..start + 4))
        .and_then(|bytes| bytes.try_into().ok())
        .context("the handshake has no process id")?;
    Ok(i32::from_be_bytes(id))
}

/// Records what is written and accepts every TLS request.
struct Recorder<'a>(&'a mut Vec<u8>);

impl AsyncWrite for Recorder<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Recorder<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        answer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        answer.put_slice(b"S");
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Recorder<'_> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// A TLS connector without encryption.
struct Passing;

impl<'a> TlsConnect<Recorder<'a>> for Passing {
    type Stream = Recorder<'a>;
    type Error = io::Error;
    type Future = Ready<io::Result<Recorder<'a>>>;

    fn connect(self, stream: Recorder<'a>) -> Self::Future {
        ready(Ok(stream))
    }
}
