//! TLS for connections to PostgreSQL: certificate checks of each mode, and explanations of failed handshakes.
//!
//! Implemented by rustls, or by the system's TLS with the feature `native-tls`; both behave alike.

#[cfg(feature = "native-tls")]
mod native;
#[cfg(not(feature = "native-tls"))]
mod rustls;
mod stream;

use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};

use ::rustls::pki_types::pem::PemObject as _;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use anyhow::{Context as _, Result};

#[cfg(not(feature = "native-tls"))]
use self::rustls as implementation;
use crate::error::{Failure, fail};
use crate::http;
use crate::pg::target::{Host, Roots, SslMode, Tls};
#[cfg(feature = "native-tls")]
use native as implementation;

pub(super) use implementation::Encryption;

/// How a server's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Not at all; the connection is encrypted only.
    Nothing,
    /// Signed by a trusted authority.
    Authority,
    /// Also issued for the host name.
    AuthorityAndHost,
}

/// The parameters of the implementations, with all files read.
struct Settings {
    check: Check,
    /// The trusted authorities; empty where nothing is verified.
    roots: Vec<CertificateDer<'static>>,
    /// Whether these are the system's authorities.
    #[cfg_attr(
        not(feature = "native-tls"),
        expect(dead_code, reason = "rustls does not distinguish them")
    )]
    system: bool,
    identity: Option<Identity>,
    /// Whether TLS starts without negotiation.
    direct: bool,
}

/// The client certificate, its intermediate authorities, and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    paths: (PathBuf, PathBuf),
}

impl Identity {
    fn unusable(&self) -> Failure {
        let (certificate, key) = &self.paths;
        fail(format!(
            "sslkey `{}` does not match sslcert `{}`",
            key.display(),
            certificate.display()
        ))
        .hint("set sslcert and sslkey to a certificate and its own key")
    }
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    OtherHost,
    Expired,
    NotYetValid,
    UnknownAuthority,
    OtherPurpose,
    UnsupportedKey,
    OursNotAccepted,
    NothingInCommon,
    HungUp,
}

/// Creates the TLS connector for a target.
pub(super) fn encryption(tls: &Tls) -> Result<Encryption> {
    let check = check(tls)?;
    let (roots, system) = match (&tls.roots, check) {
        (_, Check::Nothing) => (Vec::new(), false),
        (Some(Roots::File(path)), _) => (certificates(path, "sslrootcert")?, false),
        _ => (http::system_roots()?.to_vec(), true),
    };
    let identity = tls.identity.as_ref();
    implementation::encryption(Settings {
        check,
        roots,
        system,
        identity: identity
            .map(|(certificate, key)| identity_of(certificate, key))
            .transpose()?,
        direct: tls.direct,
    })
}

fn check(tls: &Tls) -> Result<Check, Failure> {
    match (tls.mode, &tls.roots) {
        // Without the host name, any certificate of any public authority would pass.
        (SslMode::VerifyCa, None) => Err(fail("sslmode=verify-ca needs a certificate authority")
            .hint("set sslrootcert, or use sslmode=verify-full to trust the system's authorities")),
        // As in libpq: a named authority is verified even with `require`.
        (SslMode::Require, Some(Roots::File(_))) | (SslMode::VerifyCa, _) => Ok(Check::Authority),
        (SslMode::VerifyFull, _) => Ok(Check::AuthorityAndHost),
        _ => Ok(Check::Nothing),
    }
}

fn certificates(path: &Path, keyword: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read(path, keyword)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if certificates.is_empty() {
        return Err(fail(format!(
            "{keyword} `{}` contains no readable certificate",
            path.display()
        ))
        .hint("use a PEM file that begins with -----BEGIN CERTIFICATE-----")
        .into());
    }
    Ok(certificates)
}

fn identity_of(certificate: &Path, key: &Path) -> Result<Identity> {
    let chain = certificates(certificate, "sslcert")?;
    refuse_readable(key)?;
    let pem = read(key, "sslkey")?;
    let paths = (certificate.to_owned(), key.to_owned());
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) if !is_encrypted(&pem) => Ok(Identity { chain, key, paths }),
        _ => {
            let is = if is_encrypted(&pem) {
                "is encrypted"
            } else {
                "contains no readable private key"
            };
            Err(fail(format!("sslkey `{}` {is}", key.display()))
                .hint("use an unencrypted PEM file: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8")
                .into())
        }
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    let pem = String::from_utf8_lossy(pem);
    [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
    ]
    .iter()
    .any(|words| pem.contains(words))
}

fn read(path: &Path, keyword: &str) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| {
        fail(format!("cannot read {keyword} `{}`", path.display()))
            .hint(format!("set {keyword} to a readable file"))
    })
}

#[cfg(unix)]
fn refuse_readable(key: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(metadata) = fs::metadata(key) else {
        return Ok(());
    };
    // As in libpq: a key owned by root may be readable by its group.
    let allowed = if metadata.uid() == 0 { 0o640 } else { 0o600 };
    if metadata.mode() & 0o777 & !allowed != 0 {
        return Err(fail(format!(
            "sslkey `{}` is readable by other users",
            key.display()
        ))
        .hint(format!("chmod 600 {}", key.display()))
        .into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_readable(_: &Path) -> Result<()> {
    Ok(())
}

/// Returns why a connection failed, if TLS is the reason.
pub(super) fn reason(error: &tokio_postgres::Error) -> Option<Reason> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(reason) = implementation::reason(error) {
            return Some(reason);
        }
        source = error.source();
    }
    None
}

/// Explains a failed handshake.
pub(super) fn explain(tls: &Tls, host: &Host, error: &tokio_postgres::Error) -> Failure {
    let refused = |message: String, hint: &str| fail(message).hint(hint);
    let Some(reason) = reason(error) else {
        let no_tls = error
            .source()
            .is_some_and(|error| error.to_string().contains("does not support TLS"));
        return if no_tls {
            refused(
                format!("the server at `{host}` does not support TLS"),
                "enable TLS on the server (ssl = on), or use sslmode=disable on a trusted network",
            )
        } else {
            disagreement(host)
        };
    };
    match reason {
        // Some servers report rejected client certificates with this alert, too.
        Reason::NothingInCommon if tls.identity.is_none() => disagreement(host),
        Reason::HungUp => disagreement(host),
        Reason::OtherHost => refused(
            format!("the certificate of `{host}` is issued for another host"),
            "connect with the host name in the certificate, or check where this name resolves to",
        ),
        Reason::Expired => refused(
            format!("the certificate of `{host}` has expired"),
            "renew the certificate on the server",
        ),
        Reason::NotYetValid => refused(
            format!("the certificate of `{host}` is not yet valid"),
            "check the clock of this machine",
        ),
        Reason::UnknownAuthority => refused(
            format!("the certificate of `{host}` is not signed by a known authority"),
            "set sslrootcert to the certificate of the authority that signed it",
        ),
        Reason::OtherPurpose => refused(
            format!("the certificate of `{host}` is not valid for server authentication"),
            "issue a certificate whose key usage allows server authentication",
        ),
        Reason::UnsupportedKey => refused(
            format!(
                "the certificate of `{host}`, or of an authority above it, has a key or signature that cannot be verified"
            ),
            "use RSA with 2048 bits or more, P-256, P-384 or Ed25519, signed with SHA-256 or better",
        ),
        Reason::OursNotAccepted | Reason::NothingInCommon => refused(
            format!("the server at `{host}` rejected the client certificate"),
            "set sslcert and sslkey to a certificate that the server trusts",
        ),
    }
}

fn disagreement(host: &Host) -> Failure {
    fail(format!("TLS negotiation with `{host}` failed"))
        .hint("check that a PostgreSQL server listens there, and its TLS settings")
}
