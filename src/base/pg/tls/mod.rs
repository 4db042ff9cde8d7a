//! TLS for connections to PostgreSQL: which certificates count for which mode, and what a failed handshake means.
//!
//! rustls encrypts; with the feature `native-tls` the system's TLS does. Both are told the same and mean the same.

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

/// How far a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Not at all: whatever the server shows, the connection is encrypted.
    Nothing,
    /// Whether a trusted authority has signed it.
    Authority,
    /// Also whether it is for the host that was asked for.
    AuthorityAndHost,
}

/// What the implementations are told, with all files read.
struct Settings {
    check: Check,
    /// Whose signature counts; empty where nothing is checked.
    roots: Vec<CertificateDer<'static>>,
    /// Whether these are the authorities that the system trusts.
    #[cfg_attr(
        not(feature = "native-tls"),
        expect(dead_code, reason = "rustls does not tell them apart")
    )]
    system: bool,
    identity: Option<Identity>,
    /// Whether TLS begins at once, without asking.
    direct: bool,
}

/// Our own certificate, the authorities sent with it, and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    paths: (PathBuf, PathBuf),
}

impl Identity {
    fn unusable(&self) -> Failure {
        let (certificate, key) = &self.paths;
        fail(format!(
            "sslkey `{}` cannot be used with sslcert `{}`",
            key.display(),
            certificate.display()
        ))
        .hint("set sslcert and sslkey to a certificate and the key it was made with")
    }
}

/// Why a handshake failed, where it is known.
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

/// Makes what encrypts connections as the target wants them.
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

/// Says how far the certificate is really checked.
fn check(tls: &Tls) -> Result<Check, Failure> {
    match (tls.mode, &tls.roots) {
        // Without the host's name, any certificate of any public authority would pass.
        (SslMode::VerifyCa, None) => Err(fail("sslmode=verify-ca needs to know the authority")
            .hint("set sslrootcert to its certificate, or use sslmode=verify-full to trust the system's authorities")),
        // As libpq: who names an authority wants it asked.
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
            "{keyword} `{}` holds no certificate that can be read",
            path.display()
        ))
        .hint("it must be a PEM file that begins with -----BEGIN CERTIFICATE-----")
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
                "holds no private key that can be read"
            };
            Err(fail(format!("sslkey `{}` {is}", key.display()))
                .hint("the key must be an unencrypted PEM file: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8")
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

/// Says why a connection failed, if TLS is the reason.
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

/// Says in words why a handshake failed.
pub(super) fn explain(tls: &Tls, host: &Host, error: &tokio_postgres::Error) -> Failure {
    let refused = |message: String, hint: &str| fail(message).hint(hint);
    let Some(reason) = reason(error) else {
        let no_tls = error
            .source()
            .is_some_and(|error| error.to_string().contains("does not support TLS"));
        return if no_tls {
            refused(
                format!("the server at `{host}` does not offer TLS"),
                "switch TLS on at the server (ssl = on), or use sslmode=disable if nobody can listen in between",
            )
        } else {
            disagreement(host)
        };
    };
    match reason {
        // Some servers say no more than this of a certificate, too.
        Reason::NothingInCommon if tls.identity.is_none() => disagreement(host),
        Reason::HungUp => disagreement(host),
        Reason::OtherHost => refused(
            format!("the certificate of `{host}` is made out for another host"),
            "connect under the name that stands in the certificate, or check where this name leads",
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
            format!("the certificate of `{host}` is not meant for servers"),
            "issue one for the server whose key usage allows server authentication",
        ),
        Reason::UnsupportedKey => refused(
            format!(
                "the certificate of `{host}`, or of an authority above it, has a key or signature that cannot be verified"
            ),
            "use RSA with 2048 bits or more, P-256, P-384 or Ed25519, signed with SHA-256 or better",
        ),
        Reason::OursNotAccepted | Reason::NothingInCommon => refused(
            format!("the server at `{host}` did not accept our certificate"),
            "set sslcert and sslkey to a certificate that the server trusts",
        ),
    }
}

fn disagreement(host: &Host) -> Failure {
    fail(format!("cannot agree with `{host}` on TLS"))
        .hint("check that a PostgreSQL server listens there, and its TLS settings")
}
