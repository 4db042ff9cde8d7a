//! Verifies a server's certificate chain, as OpenSSL does for libpq.
//!
//! rustls's own verifier rejects what private authorities have issued for decades and libpq accepts: version 1
//! certificates, a server's own certificate as its authority, an authority's certificate used by a server, and host names
//! in the common name. Signatures are verified by the crypto provider, never here.

use std::net::IpAddr;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::certificate::{
    Certificate, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN, KEY_ENCIPHERMENT, Key,
};

/// The maximum number of authorities between a server's certificate and a trusted one.
const LONGEST: usize = 8;
/// The maximum number of signatures verified for one certificate, which limits the work a server can cause.
const MOST_SIGNATURES: usize = 64;

/// The parameters of verification.
pub(super) struct Trust<'a> {
    /// The trusted certificates.
    pub(super) roots: &'a [CertificateDer<'static>],
    pub(super) algorithms: &'a WebPkiSupportedAlgorithms,
    pub(super) now: UnixTime,
}

/// Verifies that a server's certificate chain ends at a trusted one, and matches the host if given.
pub(super) fn check(
    trust: &Trust<'_>,
    server: &CertificateDer<'_>,
    sent: &[CertificateDer<'_>],
    host: Option<&str>,
) -> Result<(), Error> {
    let certificate = Certificate::read(server).ok_or(CertificateError::BadEncoding)?;
    let read = |der| Certificate::read(der);
    let roots: Vec<Certificate<'_>> = trust.roots.iter().filter_map(|der| read(der)).collect();
    let sent_read: Vec<Certificate<'_>> = sent.iter().filter_map(|der| read(der)).collect();
    let mut search = Search {
        trust,
        roots: &roots,
        sent: &sent_read,
        signatures: 0,
        nearest: CertificateError::UnknownIssuer,
    };
    let constrained = search
        .path(&certificate, 0, 0)
        .ok_or_else(|| search.nearest.clone())?;
    if constrained {
        // Name constraints of authorities are left to rustls's own verifier, which implements them.
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(trust.roots.iter().cloned());
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(server)?,
            &anchors,
            sent,
            trust.now,
            trust.algorithms.all,
        )?;
    }
    let usages = DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT;
    if certificate.has_unknown_critical_extension() {
        return Err(CertificateError::UnhandledCriticalExtension.into());
    }
    if !certificate.is_for_servers() || !certificate.allows(usages) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    if host.is_some_and(|host| !is_for(&certificate, host, constrained)) {
        return Err(CertificateError::NotValidForName.into());
    }
    search.in_time(&certificate)?;
    Ok(())
}

struct Search<'a> {
    trust: &'a Trust<'a>,
    roots: &'a [Certificate<'a>],
    sent: &'a [Certificate<'a>],
    signatures: usize,
    /// Why the path that came nearest to a trusted certificate was rejected.
    nearest: CertificateError,
}

impl Search<'_> {
    /// Searches a path to a trusted certificate; returns whether an authority on it has name constraints.
    ///
    /// `authorities` counts the authorities for path lengths, `depth` all certificates.
    fn path(
        &mut self,
        certificate: &Certificate<'_>,
        authorities: usize,
        depth: usize,
    ) -> Option<bool> {
        let is_trusted = self.roots.iter().any(|root| root.der == certificate.der);
        if is_trusted && certificate.is_self_issued() {
            return Some(certificate.constrains_names());
        }
        if depth == LONGEST {
            return None;
        }
        let (roots, sent) = (self.roots, self.sent);
        for issuer in roots.iter().chain(sent) {
            let issues = issuer.subject == certificate.issuer && issuer.der != certificate.der;
            if !issues || !may_issue(issuer, authorities) || !self.has_signed(issuer, certificate) {
                continue;
            }
            if let Err(error) = self.in_time(issuer) {
                self.nearest = error;
                continue;
            }
            let counts = usize::from(!issuer.is_self_issued());
            if let Some(constrained) = self.path(issuer, authorities + counts, depth + 1) {
                return Some(constrained || issuer.constrains_names());
            }
        }
        None
    }

    fn has_signed(&mut self, issuer: &Certificate<'_>, certificate: &Certificate<'_>) -> bool {
        self.signatures += 1;
        if self.signatures > MOST_SIGNATURES {
            return false;
        }
        let algorithms = self.trust.algorithms;
        let mut fitting = algorithms.all.iter().filter(|algorithm| {
            algorithm.signature_alg_id().as_ref() == certificate.algorithm
                && algorithm.public_key_alg_id().as_ref() == issuer.key.algorithm
        });
        let mut verifiable = false;
        let signed = fitting.any(|algorithm| {
            verifiable = true;
            algorithm
                .verify_signature(issuer.key.bits, certificate.signed, certificate.signature)
                .is_ok()
        });
        if !verifiable || !is_verifiable(&issuer.key, algorithms) {
            self.nearest = super::unsupported_key();
        }
        signed
    }

    fn in_time(&self, certificate: &Certificate<'_>) -> Result<(), CertificateError> {
        let time = self.trust.now;
        let second = |second: i64| {
            UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(second).unwrap_or(0)))
        };
        let (not_before, not_after) = certificate.validity;
        let (not_before, not_after) = (second(not_before), second(not_after));
        if time < not_before {
            return Err(CertificateError::NotValidYetContext { time, not_before });
        }
        if time > not_after {
            return Err(CertificateError::ExpiredContext { time, not_after });
        }
        Ok(())
    }
}

/// Returns whether a certificate may issue others, above so many authorities.
fn may_issue(issuer: &Certificate<'_>, authorities: usize) -> bool {
    let is_authority = match issuer.authority() {
        Some((is_authority, depth)) => {
            is_authority && depth.is_none_or(|depth| authorities <= depth)
        }
        // Version 1 has no basic constraints; as in OpenSSL, only a self-issued certificate counts, and it ends the path
        // unless it is trusted.
        None => issuer.version == 1 && issuer.is_self_issued(),
    };
    is_authority
        && issuer.allows(KEY_CERT_SIGN)
        && issuer.is_for_servers()
        && !issuer.has_unknown_critical_extension()
}

/// Returns whether signatures of a key can be verified.
pub(super) fn is_verifiable(key: &Key<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
    let known = algorithms
        .all
        .iter()
        .any(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
    known
        && key
            .rsa_length()
            .is_none_or(|length| (2048..=8192).contains(&length))
}

/// Returns whether a certificate is issued for a host: by its alternative names, or by its common name where it has no
/// host names there and no authority has name constraints.
fn is_for(certificate: &Certificate<'_>, host: &str, constrained: bool) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        let mut addresses = certificate.addresses();
        return match address {
            IpAddr::V4(address) => addresses.any(|known| known == address.octets()),
            IpAddr::V6(address) => addresses.any(|known| known == address.octets()),
        };
    }
    let fits = |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| matches(name, host));
    if certificate.host_names().next().is_some() {
        return certificate.host_names().any(fits);
    }
    !constrained && certificate.common_names().any(fits)
}

/// Compares a name in a certificate with a host; `*` matches one whole label, left of at least two.
fn matches(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return !host.is_empty();
    }
    let Some(domain) = name.strip_prefix("*.") else {
        return false;
    };
    let Some((label, rest)) = host.split_once('.') else {
        return false;
    };
    !label.is_empty()
        && domain.contains('.')
        && !domain.contains('*')
        && domain.eq_ignore_ascii_case(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_openssl_does() {
        for (name, host) in [
            ("db.example.org", "db.example.org"),
            ("DB.Example.org", "db.example.ORG"),
            ("*.example.org", "db.example.org"),
        ] {
            assert!(matches(name, host), "{name} {host}");
        }
        for (name, host) in [
            ("", ""),
            ("db.example.org", "example.org"),
            ("*.example.org", "example.org"),
            ("*.example.org", ".example.org"),
            ("*.example.org", "a.b.example.org"),
            ("*.org", "example.org"),
            ("*", "localhost"),
            ("d*.example.org", "db.example.org"),
            ("*.*.org", "db.example.org"),
            ("db.example.org\0.evil.org", "db.example.org"),
        ] {
            assert!(!matches(name, host), "{name} {host}");
        }
    }
}
