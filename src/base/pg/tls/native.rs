//! Encrypts connections with the system's TLS: OpenSSL, Schannel or Secure Transport.

use std::error::Error as StdError;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use native_tls::{Certificate, TlsConnector, TlsConnectorBuilder};
use postgres_native_tls::{MakeTlsConnector, TlsStream, set_postgresql_alpn};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use super::stream::ReadToTheEnd;
use super::{Check, Identity, Reason, Settings};

/// A TLS connector.
#[derive(Clone)]
pub(in crate::pg) enum Encryption {
    /// Created, with the trusted certificates.
    Made(MakeTlsConnector),
    /// Verifies nothing, and is created only when a server agrees to encrypt: OpenSSL loads the system's authorities first,
    /// which takes longer than all queries of `status`.
    Unchecked { direct: bool },
}

/// Creates the connector.
pub(super) fn encryption(settings: Settings) -> Result<Encryption> {
    if settings.check == Check::Nothing && settings.identity.is_none() {
        return Ok(Encryption::Unchecked {
            direct: settings.direct,
        });
    }
    let mut builder = builder(settings.check, settings.direct);
    builder.disable_built_in_roots(!settings.system);
    if !settings.system {
        for der in &settings.roots {
            builder.add_root_certificate(Certificate::from_der(der)?);
        }
    }
    if let Some(identity) = &settings.identity {
        builder.identity(client_certificate(identity)?);
    }
    let connector = match (builder.build(), settings.identity) {
        (Ok(connector), _) => connector,
        // OpenSSL compares certificate and key only here.
        (Err(error), Some(identity)) => {
            return Err(anyhow::anyhow!(error.to_string()).context(identity.unusable()));
        }
        (Err(error), None) => return Err(error).context("setting up TLS"),
    };
    Ok(Encryption::Made(MakeTlsConnector::new(connector)))
}

fn builder(check: Check, direct: bool) -> TlsConnectorBuilder {
    let mut builder = TlsConnector::builder();
    builder.danger_accept_invalid_certs(check == Check::Nothing);
    builder.danger_accept_invalid_hostnames(check != Check::AuthorityAndHost);
    if direct {
        set_postgresql_alpn(&mut builder);
    }
    builder
}

fn client_certificate(identity: &Identity) -> Result<native_tls::Identity> {
    let PrivateKeyDer::Pkcs8(key) = &identity.key else {
        return Err(
            anyhow::anyhow!("the system's TLS supports PKCS#8 keys only").context(
                identity.unusable().hint(
                    "convert the key: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8",
                ),
            ),
        );
    };
    let certificates: String = identity
        .chain
        .iter()
        .map(|der| pem("CERTIFICATE", der))
        .collect();
    let key = pem("PRIVATE KEY", key.secret_pkcs8_der());
    native_tls::Identity::from_pkcs8(certificates.as_bytes(), key.as_bytes())
        .map_err(|error| anyhow::anyhow!(error.to_string()))
        .with_context(|| identity.unusable())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|start| &text[start..text.len().min(start + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

impl<S> MakeTlsConnect<S> for Encryption
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<ReadToTheEnd<S>>;
    type TlsConnect = Encrypting;
    type Error = native_tls::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Encrypting, native_tls::Error> {
        Ok(Encrypting {
            encryption: self.clone(),
            host: host.to_owned(),
        })
    }
}

/// The connector of one connection.
pub(in crate::pg) struct Encrypting {
    encryption: Encryption,
    host: String,
}

impl<S> TlsConnect<S> for Encrypting
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<ReadToTheEnd<S>>;
    type Error = native_tls::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, native_tls::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let mut maker = match self.encryption {
                Encryption::Made(maker) => maker,
                Encryption::Unchecked { direct } => {
                    MakeTlsConnector::new(builder(Check::Nothing, direct).build()?)
                }
            };
            MakeTlsConnect::<ReadToTheEnd<S>>::make_tls_connect(&mut maker, &self.host)?
                .connect(ReadToTheEnd(stream))
                .await
        })
    }
}

/// Returns why a handshake failed, from one of the errors in its chain; OpenSSL reports it as text only.
pub(super) fn reason(error: &(dyn StdError + 'static)) -> Option<Reason> {
    let text = error.to_string();
    let text = match text.rsplit_once(" (") {
        // Other problems of the certificate are in brackets, even if they do not matter.
        Some((before, _))
            if text.contains("SSL routines") && !text.contains("certificate verify failed") =>
        {
            before
        }
        _ => &text,
    };
    let reasons: [(&[&str], Reason); 9] = [
        (&["mismatch", "hostname"], Reason::OtherHost),
        (&["has expired"], Reason::Expired),
        (&["not yet valid"], Reason::NotYetValid),
        (
            &[
                "self-signed",
                "self signed",
                "issuer",
                "unable to verify",
                "invalid CA",
                "path length",
            ],
            Reason::UnknownAuthority,
        ),
        (&["certificate purpose"], Reason::OtherPurpose),
        (&["too weak"], Reason::UnsupportedKey),
        (
            &[
                "certificate required",
                "unknown ca",
                "alert bad certificate",
                "alert certificate",
                "alert unsupported certificate",
            ],
            Reason::OursNotAccepted,
        ),
        (&["handshake failure"], Reason::NothingInCommon),
        (
            &[
                "unexpected EOF",
                "unexpected eof",
                "reset by peer",
                "Broken pipe",
            ],
            Reason::HungUp,
        ),
    ];
    reasons
        .into_iter()
        .find(|(words, _)| words.iter().any(|word| text.contains(word)))
        .map(|(_, reason)| reason)
}
