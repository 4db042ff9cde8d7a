//! The HTTP client, and the certificate authorities that the system trusts.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsConfigBuilder};
use ureq::typestate::AgentScope;

use crate::error::{Failure, fail};

/// The cryptography of TLS.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = || Arc::new(rustls::crypto::ring::default_provider());
    Arc::clone(PROVIDER.get_or_init(made))
}

/// The certificate authorities of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
///
/// Read on first use: it takes longer than all queries of `status`.
pub fn system_roots() -> Result<&'static [CertificateDer<'static>], Failure> {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            fail("this machine has no certificate authorities").hint(
                "install the package ca-certificates, or set SSL_CERT_FILE to a PEM file of authorities",
            ),
        );
    }
    Ok(roots)
}

pub type Client = ConfigBuilder<AgentScope>;

pub fn client(url: &str) -> Result<Client, Failure> {
    if url.starts_with("https:") {
        system_roots()?;
    }
    let tls = trusting(&[]).build();
    Ok(ureq::Agent::config_builder().tls_config(tls))
}

/// Starts a TLS configuration that trusts the system's certificate authorities and some more.
pub fn trusting(more: &[CertificateDer<'static>]) -> TlsConfigBuilder {
    let roots = system_roots().unwrap_or_default();
    trusting_only(roots.iter().chain(more))
}

/// Starts a TLS configuration that trusts only the given certificate authorities.
pub fn trusting_only<'a>(
    roots: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> TlsConfigBuilder {
    let roots = roots
        .into_iter()
        .map(|der| Certificate::from_der(der).to_owned());
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider())
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
}
