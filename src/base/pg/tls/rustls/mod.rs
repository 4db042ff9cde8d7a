//! Encrypts connections with rustls.

mod certificate;
mod chain;

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError,
    PeerMisbehaved, SignatureScheme,
};
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::TlsConnector;

use super::stream::ReadToTheEnd;
use super::{Check, Identity, Reason, Settings};
use certificate::{Certificate, Key};

/// A TLS connector.
#[derive(Clone)]
pub(in crate::pg) struct Encryption(Arc<Connector>);

#[derive(Debug)]
struct Connector {
    provider: Arc<CryptoProvider>,
    check: Check,
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<SingleCertAndKey>>,
    direct: bool,
}

/// Creates the connector.
pub(super) fn encryption(settings: Settings) -> Result<Encryption> {
    let provider = crate::http::provider();
    let identity = settings
        .identity
        .map(|identity| client_certificate(&identity, &provider))
        .transpose()?;
    Ok(Encryption(Arc::new(Connector {
        provider,
        check: settings.check,
        roots: settings.roots,
        identity,
        direct: settings.direct,
    })))
}

fn client_certificate(
    identity: &Identity,
    provider: &CryptoProvider,
) -> Result<Arc<SingleCertAndKey>> {
    let key = provider
        .key_provider
        .load_private_key(identity.key.clone_key())
        .map_err(|_| {
            anyhow::anyhow!(
                "only keys of RSA with 2048 to 4096 bits, P-256, P-384 and Ed25519 are supported"
            )
        })
        .with_context(|| identity.unusable())?;
    // Compared here: rustls would also reject version 1 certificates while comparing.
    let is_of_key = |certificate: Certificate<'_>| {
        key.public_key()
            .is_none_or(|key| key.as_ref() == certificate.key.der)
    };
    if !identity
        .chain
        .first()
        .and_then(|der| Certificate::read(der))
        .is_some_and(is_of_key)
    {
        return Err(
            anyhow::anyhow!("the certificate belongs to another key").context(identity.unusable())
        );
    }
    let certified = CertifiedKey::new(identity.chain.clone(), key);
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

impl Connector {
    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.provider.signature_verification_algorithms
    }

    fn config(self: &Arc<Self>, host: &str) -> Result<ClientConfig, Error> {
        let verifier = Verifier {
            made: Arc::clone(self),
            host: host.to_owned(),
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            Some(identity) => config.with_client_cert_resolver(Arc::clone(identity) as _),
            None => config.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        if self.direct {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
        }
        Ok(config)
    }
}

impl<S> MakeTlsConnect<S> for Encryption
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type TlsConnect = Encrypting;
    type Error = Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Encrypting, Error> {
        let mut config = self.0.config(host)?;
        // A name that is invalid in DNS is not sent as SNI, but still compared with the certificate.
        let name = ServerName::try_from(host.to_owned()).unwrap_or_else(|_| {
            config.enable_sni = false;
            ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
        });
        Ok(Encrypting {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            algorithms: *self.0.algorithms(),
        })
    }
}

/// The connector of one connection.
pub(in crate::pg) struct Encrypting {
    connector: TlsConnector,
    name: ServerName<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<S> TlsConnect<S> for Encrypting
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = TlsStream<S>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, io::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let inner = self
                .connector
                .connect(self.name, ReadToTheEnd(stream))
                .await?;
            let algorithms = self.algorithms;
            Ok(TlsStream { inner, algorithms })
        })
    }
}

pub(in crate::pg) struct TlsStream<S> {
    inner: tokio_rustls::client::TlsStream<ReadToTheEnd<S>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for TlsStream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.inner.get_ref();
        session
            .peer_certificates()
            .and_then(|chain| end_point(chain.first()?, &self.algorithms))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// Returns the channel binding `tls-server-end-point`: the hash of the server's certificate (RFC 5929).
///
/// `None` where the server's possession of the key could not be verified: anyone can present a certificate.
fn end_point(der: &CertificateDer<'_>, algorithms: &WebPkiSupportedAlgorithms) -> Option<Vec<u8>> {
    let certificate = Certificate::read(der)?;
    if !chain::is_verifiable(&certificate.key, algorithms) {
        return None;
    }
    /// Object identifiers of RSA and ECDSA signatures without their last number, which is the hash.
    const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ECDSA: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
    const ECDSA_SHA2: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
    let last = |prefix: &[u8]| certificate.algorithm.strip_prefix(prefix)?.first().copied();
    match (last(RSA), last(ECDSA), last(ECDSA_SHA2)) {
        // MD5 and SHA-1 are too weak for channel binding.
        (Some(4 | 5 | 11), ..) | (_, Some(1), _) | (.., Some(2)) => {
            Some(Sha256::digest(der).to_vec())
        }
        (Some(14), ..) | (.., Some(1)) => Some(Sha224::digest(der).to_vec()),
        (Some(12), ..) | (.., Some(3)) => Some(Sha384::digest(der).to_vec()),
        (Some(13), ..) | (.., Some(4)) => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Verifies a server's certificate according to the mode, and always that the server has its key.
#[derive(Debug)]
struct Verifier {
    made: Arc<Connector>,
    host: String,
}

impl Verifier {
    /// Verifies a signature of the handshake.
    ///
    /// Where nothing is verified, an unsupported key is accepted, but without channel binding.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        verify: impl FnOnce(&Key<'_>) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = Certificate::read(certificate);
        match certificate.map(|certificate| certificate.key) {
            Some(key) if chain::is_verifiable(&key, self.made.algorithms()) => verify(&key),
            _ if self.made.check == Check::Nothing => Ok(HandshakeSignatureValid::assertion()),
            _ => Err(unsupported_key().into()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let host = match self.made.check {
            Check::Nothing => return Ok(ServerCertVerified::assertion()),
            Check::Authority => None,
            Check::AuthorityAndHost => Some(self.host.as_str()),
        };
        let trust = chain::Trust {
            roots: &self.made.roots,
            algorithms: self.made.algorithms(),
            now,
        };
        chain::check(&trust, server, sent, host)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(certificate, |key| {
            let (_, algorithms) = self
                .made
                .algorithms()
                .mapping
                .iter()
                .find(|(scheme, _)| *scheme == signed.scheme)
                .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
            let mut fitting = algorithms
                .iter()
                .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
            fitting
                .any(|algorithm| {
                    algorithm
                        .verify_signature(key.bits, message, signed.signature())
                        .is_ok()
                })
                .then(HandshakeSignatureValid::assertion)
                .ok_or_else(|| CertificateError::BadSignature.into())
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(certificate, |key| {
            let key = SubjectPublicKeyInfoDer::from(key.der);
            verify_tls13_signature_with_raw_key(message, &key, signed, self.made.algorithms())
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.made.algorithms().supported_schemes();
        if self.made.check == Check::Nothing {
            schemes.extend([
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::ED448,
            ]);
        }
        schemes
    }
}

/// An unsupported algorithm of a key or signature.
#[derive(Debug)]
struct UnsupportedKey;

impl std::fmt::Display for UnsupportedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "only RSA with 2048 to 8192 bits, P-256, P-384 and Ed25519, with SHA-256 or better, are supported",
        )
    }
}

impl StdError for UnsupportedKey {}

fn unsupported_key() -> CertificateError {
    CertificateError::Other(OtherError(Arc::new(UnsupportedKey)))
}

/// Returns why a handshake failed, from one of the errors in its chain.
pub(super) fn reason(error: &(dyn StdError + 'static)) -> Option<Reason> {
    let error = match error.downcast_ref::<io::Error>() {
        Some(error) => match error.get_ref() {
            Some(inner) => inner as &(dyn StdError + 'static),
            None => error,
        },
        None => error,
    };
    match error.downcast_ref::<Error>()? {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied => Some(Reason::OursNotAccepted),
            AlertDescription::HandshakeFailure => Some(Reason::NothingInCommon),
            _ => None,
        },
        Error::PeerIncompatible(_) => Some(Reason::NothingInCommon),
        _ => None,
    }
}

fn of_certificate(error: &CertificateError) -> Option<Reason> {
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(Reason::OtherHost)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some(Reason::Expired)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some(Reason::NotYetValid)
        }
        CertificateError::UnknownIssuer => Some(Reason::UnknownAuthority),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Some(Reason::OtherPurpose)
        }
        CertificateError::Other(OtherError(error)) if error.is::<UnsupportedKey>() => {
            Some(Reason::UnsupportedKey)
        }
        _ => None,
    }
}
