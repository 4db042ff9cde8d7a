//! Owns TLS: which certificates count for which mode, and what a failed handshake means.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use native_tls::{Certificate, Identity, TlsConnector, TlsConnectorBuilder};
use postgres_native_tls::{MakeTlsConnector, set_postgresql_alpn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use crate::error::{Failure, fail};
use crate::pg::target::{Host, Roots, SslMode, Tls};

/// What encrypts connections.
#[derive(Clone)]
pub(super) enum Encryption {
    /// Made, with the certificates that count.
    Made(MakeTlsConnector),
    /// Checks nothing, and is made only when a server agrees to encrypt: OpenSSL reads the system's authorities first,
    /// which takes longer than all that `status` asks.
    Unchecked(Tls),
}

/// Makes what encrypts connections as the target wants them.
pub(super) fn encryption(tls: &Tls) -> Result<Encryption> {
    if checked(tls)? < SslMode::VerifyCa && tls.identity.is_none() {
        return Ok(Encryption::Unchecked(tls.clone()));
    }
    connector(tls).map(Encryption::Made)
}

fn connector(tls: &Tls) -> Result<MakeTlsConnector> {
    let check = checked(tls)?;
    let mut builder = builder(tls, check);
    if let (Some(Roots::File(path)), true) = (&tls.roots, check >= SslMode::VerifyCa) {
        for certificate in roots(path)? {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some((certificate, key)) = &tls.identity {
        builder.identity(identity(certificate, key)?);
    }
    let connector = builder.build().context("setting up TLS")?;
    Ok(MakeTlsConnector::new(connector))
}

fn builder(tls: &Tls, check: SslMode) -> TlsConnectorBuilder {
    let mut builder = TlsConnector::builder();
    builder.danger_accept_invalid_certs(check < SslMode::VerifyCa);
    builder.danger_accept_invalid_hostnames(check < SslMode::VerifyFull);
    let system = check == SslMode::VerifyFull && !matches!(tls.roots, Some(Roots::File(_)));
    builder.disable_built_in_roots(!system);
    if tls.direct {
        set_postgresql_alpn(&mut builder);
    }
    builder
}

impl<S> MakeTlsConnect<S> for Encryption
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = postgres_native_tls::TlsStream<S>;
    type TlsConnect = Encrypting;
    type Error = native_tls::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Encrypting, native_tls::Error> {
        Ok(Encrypting {
            encryption: self.clone(),
            host: host.to_owned(),
        })
    }
}

/// Encrypts one connection.
pub(super) struct Encrypting {
    encryption: Encryption,
    host: String,
}

impl<S> TlsConnect<S> for Encrypting
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = postgres_native_tls::TlsStream<S>;
    type Error = native_tls::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, native_tls::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let mut maker = match self.encryption {
                Encryption::Made(maker) => maker,
                Encryption::Unchecked(tls) => {
                    MakeTlsConnector::new(builder(&tls, tls.mode).build()?)
                }
            };
            MakeTlsConnect::<S>::make_tls_connect(&mut maker, &self.host)?
                .connect(stream)
                .await
        })
    }
}

/// Says how far the certificate is really looked at.
fn checked(tls: &Tls) -> Result<SslMode, Failure> {
    match (tls.mode, &tls.roots) {
        // As libpq: who names an authority wants it asked.
        (SslMode::Require, Some(Roots::File(_))) => Ok(SslMode::VerifyCa),
        // Without the host's name, any certificate of any public authority would pass.
        (SslMode::VerifyCa, None) => Err(fail("sslmode=verify-ca needs to know the authority")
            .hint("set sslrootcert to its certificate, or use sslmode=verify-full to trust the system's authorities")),
        (mode, _) => Ok(mode),
    }
}

fn roots(path: &Path) -> Result<Vec<Certificate>> {
    let pem = read(path, "sslrootcert")?;
    let certificates = Certificate::stack_from_pem(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(fail(format!(
            "sslrootcert `{}` holds no certificate that can be read",
            path.display()
        ))
        .hint("it must be a PEM file that begins with -----BEGIN CERTIFICATE-----")
        .into());
    }
    Ok(certificates)
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity> {
    let pem = read(certificate, "sslcert")?;
    refuse_readable(key)?;
    let secret = read(key, "sslkey")?;
    Identity::from_pkcs8(&pem, &secret)
        .map_err(|error| anyhow::anyhow!(error.to_string()))
        .with_context(|| {
            fail(format!("sslkey `{}` cannot be used with sslcert `{}`", key.display(), certificate.display())).hint(
                "the key must be an unencrypted PKCS#8 file: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8",
            )
        })
}

fn read(path: &Path, keyword: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| {
        fail(format!("cannot read {keyword} `{}`", path.display())).hint(format!(
            "set {keyword} to a file that exists and that you may read"
        ))
    })
}

#[cfg(unix)]
fn refuse_readable(key: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(metadata) = fs::metadata(key) else {
        return Ok(());
    };
    // As libpq: a key of root may be read by its group.
    let allowed = if metadata.uid() == 0 { 0o640 } else { 0o600 };
    if metadata.mode() & 0o777 & !allowed != 0 {
        return Err(
            fail(format!("sslkey `{}` can be read by others", key.display()))
                .hint(format!("chmod 600 {}", key.display()))
                .into(),
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_readable(_: &Path) -> Result<()> {
    Ok(())
}

/// Says in words why a handshake failed.
pub(super) fn explain(host: &Host, reason: &str) -> Failure {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&["does not support TLS"]) {
        return fail(format!("the server at `{host}` does not offer TLS")).hint(
            "switch TLS on at the server (ssl = on), or use sslmode=disable if nobody can listen in between",
        );
    }
    if says(&["mismatch", "hostname"]) {
        return fail(format!(
            "the certificate of `{host}` is made out for another host"
        ))
        .hint(
            "connect under the name that stands in the certificate, or check where this name leads",
        );
    }
    if says(&["has expired"]) {
        return fail(format!("the certificate of `{host}` has expired"))
            .hint("renew the certificate on the server");
    }
    if says(&["not yet valid"]) {
        return fail(format!("the certificate of `{host}` is not yet valid"))
            .hint("check the clock of this machine");
    }
    if says(&["self-signed", "self signed", "issuer", "unable to verify"]) {
        return fail(format!(
            "the certificate of `{host}` is not signed by a known authority"
        ))
        .hint("set sslrootcert to the certificate of the authority that signed it");
    }
    if says(&["certificate required", "unknown ca", "handshake failure"]) {
        return fail(format!(
            "the server at `{host}` did not accept our certificate"
        ))
        .hint("set sslcert and sslkey to a certificate that the server trusts");
    }
    fail(format!("cannot agree with `{host}` on TLS"))
        .hint("check that a PostgreSQL server answers there, and its TLS settings")
}
