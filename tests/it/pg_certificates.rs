//! Which server certificates are trusted, compared with OpenSSL as used by libpq.
//!
//! The certificates are created by OpenSSL and served by a test server that sends one word after the TLS handshake. The
//! expectations are the same for every TLS implementation the program is built with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::PathBuf;
use std::sync::Arc;

use af_db::event::silent;
use af_db::pg::connect::{self, RetryLimits};
use af_db::pg::program::Program;
use af_db::pg::target::Target;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::project::Project;
use crate::support::tcp_server::TcpServer;

/// The host name in the certificates; its IP address is separate.
const HOST: &str = "db.example.org";
/// The extensions of an authority.
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";

/// A folder of certificates, created with OpenSSL.
struct Forge {
    folder: tempfile::TempDir,
}

impl Forge {
    async fn new() -> Forge {
        let forge = Forge {
            folder: tempfile::tempdir().unwrap(),
        };
        let settings = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nrand_serial=yes\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n\
                        unique_subject=no\n[p]\ncommonName=supplied\n[req]\ndistinguished_name=n\n[n]\n";
        std::fs::write(forge.path("ca.cnf"), settings).unwrap();
        std::fs::write(forge.path("index"), "").unwrap();
        forge
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn openssl(&self, arguments: &str) {
        let done = Program::new("openssl")
            .args(arguments.split(' '))
            .directory(self.folder.path())
            .run();
        done.await.unwrap().check("openssl").unwrap();
    }

    async fn request(&self, name: &str, subject: &str) {
        self.openssl(&format!("req -config ca.cnf -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr")).await;
    }

    /// Creates a self-signed certificate; without extensions it is of version 1.
    async fn itself(&self, name: &str, subject: &str, extensions: &str) {
        self.request(name, subject).await;
        let more = self.extensions(name, extensions);
        self.openssl(&format!(
            "x509 -req -in {name}.csr -signkey {name}.key -days 2 {more}-out {name}.crt"
        ))
        .await;
    }

    /// Issues a certificate signed by another; without extensions it is of version 1.
    async fn issue(&self, name: &str, subject: &str, by: &str, extensions: &str) {
        self.request(name, subject).await;
        let more = self.extensions(name, extensions);
        self.openssl(&format!("x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 2 {more}-out {name}.crt")).await;
    }

    /// Issues a certificate with a validity period.
    async fn issue_for(&self, name: &str, by: &str, extensions: &str, from: &str, to: &str) {
        self.request(name, HOST).await;
        let more = self.extensions(name, extensions);
        self.openssl(&format!("ca -batch -notext -config ca.cnf -in {name}.csr -cert {by}.crt -keyfile {by}.key -startdate {from} -enddate {to} {more}-out {name}.crt")).await;
    }

    fn extensions(&self, name: &str, extensions: &str) -> String {
        if extensions.is_empty() {
            return String::new();
        }
        std::fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        format!("-extfile {name}.ext ")
    }

    fn chain(&self, names: &str) -> Vec<CertificateDer<'static>> {
        let read =
            |name: &str| CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).unwrap();
        names.split(' ').map(read).collect()
    }

    fn acceptor(&self, chain: &str, key: &str) -> TlsAcceptor {
        let provider = af_db::http::provider();
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{key}.key"))).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = CertifiedKey::new(self.chain(chain), key);
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        TlsAcceptor::from(Arc::new(config))
    }

    /// Starts a TLS server that answers like PostgreSQL.
    async fn serve(&self, chain: &str, key: &str) -> u16 {
        let acceptor = self.acceptor(chain, key);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 8];
                stream.read_exact(&mut asked).await.unwrap();
                stream.write_all(b"S").await.unwrap();
                // The client rejected the certificate; the test checks that.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let word = b"SFATAL\0CXX000\0Mreached\0\0";
                let mut answer = vec![b'E'];
                answer.extend(u32::try_from(word.len() + 4).unwrap().to_be_bytes());
                answer.extend(word);
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        port
    }

    /// Receives notifications over HTTPS under a certificate, and returns their texts.
    async fn receive(&self, name: &str) -> (u16, std::sync::mpsc::Receiver<String>) {
        let acceptor = self.acceptor(name, name);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (give, take) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust the certificate closes the connection.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut text = String::new();
                while !text.ends_with('}') {
                    let mut piece = [0; 4096];
                    let read = stream.read(&mut piece).await.unwrap();
                    assert!(read > 0, "{text}");
                    text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                let _ = stream.shutdown().await;
                let _ = give.send(text);
            }
        });
        (port, take)
    }

    /// Connects to a server in a mode, with these roots; returns `trusted`, or the reason.
    async fn verdict(&self, chain: &str, mode: &str, roots: &str, host: &str) -> String {
        let port = self.serve(chain, chain.split(' ').next().unwrap()).await;
        self.entering(port, mode, roots, host).await
    }

    async fn entering(&self, port: u16, mode: &str, roots: &str, host: &str) -> String {
        let mut address = format!(
            "host={host} hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres sslmode={mode}"
        );
        if !roots.is_empty() {
            let read =
                |name: &str| std::fs::read_to_string(self.path(&format!("{name}.crt"))).unwrap();
            let text: String = roots.split(' ').map(read).collect();
            let file = self.path(&format!("roots-{}.pem", roots.replace(' ', "-")));
            std::fs::write(&file, text).unwrap();
            address.push_str(&format!(" sslrootcert={}", file.display()));
        }
        let target = Target::parse(&address).unwrap();
        let error = connect::open_with(&target, &RetryLimits::ONCE, &silent)
            .await
            .err()
            .unwrap();
        let server = format!("`{host}:{port}`");
        match error.to_string() {
            _ if format!("{error:#}").contains("reached") => "trusted".to_owned(),
            text => text.replace(&server, "SERVER"),
        }
    }

    /// Checks cases of chain, mode, roots, host and verdict.
    async fn expect(&self, cases: &[(&str, &str, &str, &str, &str)]) {
        for (chain, mode, roots, host, expected) in cases {
            let verdict = self.verdict(chain, mode, roots, host).await;
            assert_eq!(verdict, *expected, "{chain} {mode} {roots} {host}");
        }
    }
}

const TRUSTED: &str = "trusted";
const UNKNOWN: &str = "the certificate of SERVER is not signed by a known authority";
const OTHER_HOST: &str = "the certificate of SERVER is issued for another host";
const EXPIRED: &str = "the certificate of SERVER has expired";
const NOT_YET: &str = "the certificate of SERVER is not yet valid";
const NOT_FOR_SERVERS: &str = "the certificate of SERVER is not valid for server authentication";
const FULL: &str = "verify-full";
const CA: &str = "verify-ca";

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted() {
    let forge = Forge::new().await;
    forge.itself("old", HOST, "").await;
    forge
        .itself("authority", HOST, "basicConstraints=critical,CA:TRUE\n")
        .await;
    forge
        .itself(
            "server",
            HOST,
            "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:db.example.org\n",
        )
        .await;
    for name in ["old", "authority", "server"] {
        forge
            .expect(&[
                (name, FULL, name, HOST, TRUSTED),
                (name, CA, name, "elsewhere.example.org", TRUSTED),
                (name, FULL, name, "elsewhere.example.org", OTHER_HOST),
                (name, "require", name, "elsewhere.example.org", TRUSTED),
            ])
            .await;
    }
    forge
        .expect(&[
            ("server", CA, "authority", HOST, UNKNOWN),
            ("authority", CA, "server", HOST, UNKNOWN),
            ("old", "require", "server", HOST, UNKNOWN),
        ])
        .await;
}

#[tokio::test]
async fn chains_end_at_a_trusted_root() {
    let forge = Forge::new().await;
    forge.itself("root", "root", AUTHORITY).await;
    forge.itself("old-root", "old-root", "").await;
    forge.issue("middle", "middle", "root", AUTHORITY).await;
    // As in PostgreSQL's documentation: version 1, no alternative names.
    forge.issue("plain", HOST, "root", "").await;
    forge.issue("below", HOST, "middle", "").await;
    forge.issue("of-old", HOST, "old-root", "").await;
    let both = "basicConstraints=critical,CA:TRUE\n";
    forge.issue("both", HOST, "root", both).await;
    forge
        .expect(&[
            ("plain", FULL, "root", HOST, TRUSTED),
            ("plain", FULL, "root", "other.example.org", OTHER_HOST),
            ("plain", FULL, "old-root", HOST, UNKNOWN),
            ("plain", FULL, "old-root root", HOST, TRUSTED),
            ("of-old", FULL, "old-root", HOST, TRUSTED),
            ("below middle", FULL, "root", HOST, TRUSTED),
            ("below middle root", FULL, "root", HOST, TRUSTED),
            ("below", FULL, "root middle", HOST, TRUSTED),
            ("below", FULL, "root", HOST, UNKNOWN),
            // An intermediate authority alone is no root for OpenSSL.
            ("below", FULL, "middle", HOST, UNKNOWN),
            ("below middle root", FULL, "old-root", HOST, UNKNOWN),
            // An authority's own certificate may be a server's.
            ("both", FULL, "root", HOST, TRUSTED),
            ("middle", CA, "root", HOST, NOT_FOR_SERVERS),
        ])
        .await;
}

#[tokio::test]
async fn signatures_of_non_authorities_are_rejected() {
    let forge = Forge::new().await;
    forge.itself("root", "root", AUTHORITY).await;
    let leaf = "subjectAltName=DNS:db.example.org\n";
    let no_limit = "basicConstraints=critical,CA:TRUE\n";
    forge.issue("server", HOST, "root", leaf).await;
    forge.issue("by-server", HOST, "server", leaf).await;
    forge.issue("plain", "plain", "root", "").await;
    forge.issue("by-plain", HOST, "plain", leaf).await;
    forge
        .issue(
            "unsigning",
            "unsigning",
            "root",
            &format!("{no_limit}keyUsage=digitalSignature\n"),
        )
        .await;
    forge.issue("by-unsigning", HOST, "unsigning", leaf).await;
    forge
        .issue(
            "last",
            "last",
            "root",
            "basicConstraints=critical,CA:TRUE,pathlen:0\n",
        )
        .await;
    forge.issue("by-last", HOST, "last", leaf).await;
    forge.issue("beyond", "beyond", "last", AUTHORITY).await;
    forge.issue("by-beyond", HOST, "beyond", leaf).await;
    // The same name as the root, with another key.
    forge.itself("false", "root", AUTHORITY).await;
    forge.issue("by-false", HOST, "false", leaf).await;
    forge
        .expect(&[
            ("by-last last", FULL, "root", HOST, TRUSTED),
            ("by-server server", FULL, "root", HOST, UNKNOWN),
            ("by-plain plain", FULL, "root", HOST, UNKNOWN),
            ("by-unsigning unsigning", FULL, "root", HOST, UNKNOWN),
            ("by-beyond beyond last", FULL, "root", HOST, UNKNOWN),
        ])
        .await;
    for chain in ["by-false", "by-false false"] {
        let verdict = forge.verdict(chain, FULL, "root", HOST).await;
        assert!(
            verdict == UNKNOWN || verdict.starts_with("cannot agree"),
            "{verdict}"
        );
    }
}

#[tokio::test]
async fn a_certificate_is_valid_for_its_names_only() {
    let forge = Forge::new().await;
    forge.itself("root", "root", AUTHORITY).await;
    for (name, subject, names) in [
        (
            "named",
            "other.example.org",
            "DNS:db.example.org,DNS:second.example.org",
        ),
        ("common", HOST, "DNS:other.example.org"),
        ("addressed", HOST, "IP:127.0.0.1"),
        ("numbered", "127.0.0.1", "DNS:127.0.0.1"),
        ("wild", "wild", "DNS:*.example.org"),
        ("too-wild", "wild", "DNS:*.org,DNS:d*.example.org"),
    ] {
        forge
            .issue(name, subject, "root", &format!("subjectAltName={names}\n"))
            .await;
    }
    forge
        .issue("wild-common", "*.example.org", "root", "")
        .await;
    forge
        .expect(&[
            ("named", FULL, "root", HOST, TRUSTED),
            ("named", FULL, "root", "Second.Example.ORG", TRUSTED),
            ("named", FULL, "root", "other.example.org", OTHER_HOST),
            // The common name counts unless the alternative names contain host names.
            ("common", FULL, "root", HOST, OTHER_HOST),
            ("addressed", FULL, "root", HOST, TRUSTED),
            ("addressed", FULL, "root", "127.0.0.1", TRUSTED),
            ("named", FULL, "root", "127.0.0.1", OTHER_HOST),
            ("numbered", FULL, "root", "127.0.0.1", OTHER_HOST),
            ("wild", FULL, "root", HOST, TRUSTED),
            ("wild", FULL, "root", "example.org", OTHER_HOST),
            ("wild", FULL, "root", "a.db.example.org", OTHER_HOST),
            ("too-wild", FULL, "root", HOST, OTHER_HOST),
            ("too-wild", FULL, "root", "example.org", OTHER_HOST),
            ("wild-common", FULL, "root", HOST, TRUSTED),
            ("wild-common", FULL, "root", "a.db.example.org", OTHER_HOST),
        ])
        .await;
}

#[tokio::test]
async fn every_certificate_of_a_chain_must_be_in_its_validity_period() {
    const PAST: (&str, &str) = ("20200101000000Z", "20210101000000Z");
    const FUTURE: (&str, &str) = ("20900101000000Z", "20910101000000Z");
    let forge = Forge::new().await;
    forge.itself("root", "root", AUTHORITY).await;
    let leaf = "subjectAltName=DNS:db.example.org\n";
    for (name, (from, to)) in [("past", PAST), ("future", FUTURE)] {
        forge.issue_for(name, "root", leaf, from, to).await;
        let authority = format!("{name}-authority");
        forge
            .issue_for(&authority, "root", AUTHORITY, from, to)
            .await;
        forge
            .issue(&format!("by-{name}"), HOST, &authority, leaf)
            .await;
    }
    // An expired root.
    forge.request("end", "end").await;
    forge.extensions("end", AUTHORITY);
    forge.openssl("ca -batch -notext -config ca.cnf -in end.csr -selfsign -keyfile end.key -startdate 20200101000000Z -enddate 20210101000000Z -extfile end.ext -out end.crt").await;
    forge.issue("by-end", HOST, "end", leaf).await;
    forge
        .expect(&[
            ("past", FULL, "root", HOST, EXPIRED),
            ("future", FULL, "root", HOST, NOT_YET),
            ("by-past past-authority", FULL, "root", HOST, EXPIRED),
            ("by-future future-authority", FULL, "root", HOST, NOT_YET),
            ("by-end", FULL, "end", HOST, EXPIRED),
            ("past", "require", "", HOST, TRUSTED),
            ("future", "require", "", HOST, TRUSTED),
        ])
        .await;
}

#[tokio::test]
async fn key_usage_and_critical_extensions_are_enforced() {
    let forge = Forge::new().await;
    forge.itself("root", "root", AUTHORITY).await;
    let leaf = |more: &str| format!("subjectAltName=DNS:db.example.org\n{more}\n");
    for (name, more) in [
        ("clients", "extendedKeyUsage=clientAuth"),
        ("servers", "extendedKeyUsage=clientAuth,serverAuth"),
        ("signing", "keyUsage=critical,cRLSign"),
        ("critical", "1.2.3.4=critical,ASN1:NULL"),
        ("harmless", "1.2.3.4=ASN1:NULL"),
        ("policies", "certificatePolicies=critical,1.2.3.4"),
    ] {
        forge.issue(name, HOST, "root", &leaf(more)).await;
    }
    forge
        .expect(&[
            ("servers", FULL, "root", HOST, TRUSTED),
            ("harmless", FULL, "root", HOST, TRUSTED),
            ("policies", FULL, "root", HOST, TRUSTED),
            ("clients", FULL, "root", HOST, NOT_FOR_SERVERS),
            ("signing", FULL, "root", HOST, NOT_FOR_SERVERS),
            (
                "critical",
                FULL,
                "root",
                HOST,
                "TLS negotiation with SERVER failed",
            ),
            ("critical", "require", "", HOST, TRUSTED),
            ("clients", "require", "", HOST, TRUSTED),
        ])
        .await;
}

#[tokio::test]
async fn name_constraints_are_enforced() {
    let forge = Forge::new().await;
    let limited = format!("{AUTHORITY}nameConstraints=critical,permitted;DNS:example.org\n");
    forge.itself("root", "root", AUTHORITY).await;
    forge.issue("limited", "limited", "root", &limited).await;
    forge
        .issue(
            "within",
            "server",
            "limited",
            "subjectAltName=DNS:db.example.org\n",
        )
        .await;
    forge
        .issue(
            "without",
            "server",
            "limited",
            "subjectAltName=DNS:db.example.com\n",
        )
        .await;
    forge
        .issue(
            "common",
            "db.example.com",
            "limited",
            "basicConstraints=CA:FALSE\n",
        )
        .await;
    forge
        .expect(&[
            ("within limited", FULL, "root", HOST, TRUSTED),
            (
                "within limited",
                FULL,
                "root",
                "other.example.org",
                OTHER_HOST,
            ),
        ])
        .await;
    for chain in ["without limited", "common limited"] {
        let verdict = forge.verdict(chain, FULL, "root", "db.example.com").await;
        assert!(verdict != TRUSTED, "{chain}");
    }
}

#[tokio::test]
async fn a_server_must_have_the_key_of_its_certificate() {
    let forge = Forge::new().await;
    forge
        .itself("server", HOST, "subjectAltName=DNS:db.example.org\n")
        .await;
    forge.itself("thief", HOST, "").await;
    for (mode, roots) in [("require", ""), (CA, "server"), (FULL, "server")] {
        let honest = forge.serve("server", "server").await;
        assert_eq!(
            forge.entering(honest, mode, roots, HOST).await,
            TRUSTED,
            "{mode}"
        );
        let thief = forge.serve("server", "thief").await;
        assert_eq!(
            forge.entering(thief, mode, roots, HOST).await,
            "TLS negotiation with SERVER failed",
            "{mode}"
        );
    }
}

#[tokio::test]
async fn weak_keys_and_signatures_are_reported() {
    let forge = Forge::new().await;
    forge.openssl("req -x509 -newkey rsa:1024 -nodes -days 2 -subj /CN=weak -keyout weak.key -out weak.crt").await;
    forge.issue("by-weak", HOST, "weak", "").await;
    forge.itself("root", "root", AUTHORITY).await;
    forge.request("hashed", HOST).await;
    forge.openssl("x509 -req -sha1 -in hashed.csr -CA root.crt -CAkey root.key -CAcreateserial -days 2 -out hashed.crt").await;
    let weak = "the certificate of SERVER, or of an authority above it, has a key or signature that cannot be verified";
    forge
        .expect(&[
            ("by-weak", FULL, "weak", HOST, weak),
            ("hashed", FULL, "root", HOST, weak),
            ("hashed", "require", "", HOST, TRUSTED),
        ])
        .await;
}

#[tokio::test]
async fn system_authorities_follow_ssl_cert_file() {
    let forge = Forge::new().await;
    forge.itself("root", "root", AUTHORITY).await;
    let leaf = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    forge.issue("server", "server", "root", leaf).await;
    let server = TcpServer::prepare()
        .await
        .hba_rules("host all all 127.0.0.1/32 trust");
    let put = |name: &str| {
        let text = std::fs::read_to_string(forge.path(name)).unwrap();
        server.put(name, &text).display().to_string()
    };
    let (certificate, key) = (put("server.crt"), put("server.key"));
    let server = server
        .setting("ssl=on")
        .setting(format!("ssl_cert_file={certificate}"))
        .setting(format!("ssl_key_file={key}"))
        .start()
        .await;
    let project = Project::of(&server.socket());
    let (port, told) = forge.receive("server").await;
    project.write(
        "af-db.yaml",
        format!("notify: {{ url: \"https://localhost:{port}/hook\", commands: [status] }}\n"),
    );
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?sslmode=verify-full&sslrootcert=system",
        server.port
    );
    let status = async |roots: &str| {
        let tool = project
            .tool(&["status"])
            .env("DATABASE_URL", &url)
            .env("SSL_CERT_DIR", "");
        let done = tool
            .env("SSL_CERT_FILE", forge.path(roots))
            .run()
            .await
            .unwrap();
        (done.status.code(), done.stderr)
    };
    let (code, stderr) = status("root.crt").await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("notification"), "{stderr}");
    let mut told: Vec<String> = told.try_iter().collect();
    told.sort_by_key(|request| request.contains("\"ended\""));
    assert!(
        told.len() == 2 && told[0].contains("\"started\"") && told[1].contains("\"ended\""),
        "{told:?}"
    );
    forge.itself("other", "other", AUTHORITY).await;
    let (code, stderr) = status("other.crt").await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("is not signed by a known authority"),
        "{stderr}"
    );
    assert!(
        stderr.contains("the receiver cannot be reached"),
        "{stderr}"
    );
    std::fs::write(forge.path("empty.crt"), "").unwrap();
    let (code, stderr) = status("empty.crt").await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("caused by: this machine has no certificate authorities"),
        "{stderr}"
    );
    assert!(
        stderr.contains("install the package ca-certificates"),
        "{stderr}"
    );
}
