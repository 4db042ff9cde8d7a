//! TLS against a real server, with a test authority.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::{Path, PathBuf};

use af_db::event::silent;
use af_db::pg::connect::{self, RetryLimits};
use af_db::pg::program::Program;
use af_db::pg::session::Session;
use af_db::pg::target::{Secret, Target};
use af_db::sql::safe::Sql;

use crate::support::message::shown;
use crate::support::server::rows;
use crate::support::tcp_server::TcpServer;

/// A directory with authorities and certificates.
struct Authority {
    directory: tempfile::TempDir,
}

impl Authority {
    async fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority { directory };
        for name in ["ca", "other-ca"] {
            authority
                .openssl(&format!("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"))
                .await;
        }
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    async fn openssl(&self, arguments: &str) {
        Program::new("openssl")
            .args(arguments.split(' '))
            .directory(self.directory.path())
            .run()
            .await
            .unwrap()
            .check("openssl")
            .unwrap();
    }

    /// Issues a certificate for a subject with alternative names and further arguments.
    async fn issue(&self, name: &str, names: &str, validity: &str) {
        std::fs::write(self.path("names"), format!("subjectAltName={names}\n")).unwrap();
        self.openssl(&format!(
            "req -new -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ))
        .await;
        self.openssl(&format!("x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial {validity} -extfile names -out {name}.crt")).await;
    }

    /// Writes the key of `postgres` as PKCS#1 and encrypted, one for `old-postgres` as SEC1 with a certificate of version 1,
    /// and an unrelated key.
    async fn other_forms_of_keys(&self) {
        for arguments in [
            "rsa -in postgres.key -traditional -out postgres.pkcs1",
            "pkcs8 -topk8 -in postgres.key -passout pass:secret -out encrypted.pk8",
            "ecparam -name prime256v1 -genkey -out old-postgres.key",
            "req -new -key old-postgres.key -subj /CN=postgres -out old-postgres.csr",
            "x509 -req -in old-postgres.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out old-postgres.crt",
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=postgres -keyout stranger.pk8 -out stranger.crt",
        ] {
            self.openssl(arguments).await;
        }
        use std::os::unix::fs::PermissionsExt as _;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path("old-postgres.key"), private).unwrap();
    }

    async fn serve(&self, certificate: &str, rules: &str) -> TcpServer {
        let server = TcpServer::prepare().await.hba_rules(rules);
        let put = |name: &str, from: &str| server.put(name, &self.text(from)).display().to_string();
        let files = [
            format!(
                "ssl_cert_file={}",
                put("server.crt", &format!("{certificate}.crt"))
            ),
            format!(
                "ssl_key_file={}",
                put("server.key", &format!("{certificate}.key"))
            ),
            format!("ssl_ca_file={}", put("ca.crt", "ca.crt")),
        ];
        let mut server = server.setting("ssl=on");
        for file in files {
            server = server.setting(file);
        }
        server.start().await
    }
}

async fn enter(target: &Target) -> anyhow::Result<Session> {
    connect::open_with(target, &RetryLimits::ONCE, &silent).await
}

async fn is_encrypted(session: &Session) -> bool {
    let rows = rows(
        session,
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    )
    .await;
    rows[0][0] == "t"
}

fn with_roots(server: &TcpServer, mode: &str, roots: &Path) -> Target {
    server.target(&format!("sslmode={mode}&sslrootcert={}", roots.display()))
}

async fn refusal(server: &TcpServer, target: &Target, authority: &Authority) -> String {
    let error = enter(target).await.err().expect("a refusal");
    let port = server.port.to_string();
    let directory = authority.directory.path().display().to_string();
    let text = shown(&error, &[(&port, "PORT"), (&directory, "DIR")]);
    // The text after "caused by" comes from OpenSSL, or from rustls.
    let theirs = ["caused by: error:", "caused by: invalid peer certificate:"];
    let ours = |line: &&str| !theirs.iter().any(|words| line.starts_with(words));
    text.lines().filter(ours).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_sslmode_behaves_like_libpq() {
    let authority = Authority::new().await;
    authority
        .issue("server", "DNS:localhost,IP:127.0.0.1", "-days 2")
        .await;
    let server = authority
        .serve("server", "host all all 127.0.0.1/32 trust")
        .await;
    for (mode, encrypted) in [
        ("disable", false),
        ("allow", false),
        ("prefer", true),
        ("require", true),
    ] {
        let session = enter(&server.target(&format!("sslmode={mode}")))
            .await
            .unwrap();
        assert_eq!(is_encrypted(&session).await, encrypted, "{mode}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let target = with_roots(&server, mode, &authority.path("ca.crt"));
        assert!(is_encrypted(&enter(&target).await.unwrap()).await, "{mode}");
        assert!(
            is_encrypted(
                &enter(&target.with_address("localhost", server.port))
                    .await
                    .unwrap()
            )
            .await,
            "{mode}"
        );
        // As in libpq: `require` verifies if an authority is given.
        let target = with_roots(&server, mode, &authority.path("other-ca.crt"));
        let error = enter(&target).await.err().unwrap();
        assert!(
            error
                .to_string()
                .contains("not signed by a known authority"),
            "{mode}: {error:#}"
        );
    }
    let unknown = with_roots(&server, "verify-full", &authority.path("other-ca.crt"));
    insta::assert_snapshot!(refusal(&server, &unknown, &authority).await, @"
    error: the certificate of `127.0.0.1:PORT` is not signed by a known authority
    hint: set sslrootcert to the certificate of the authority that signed it
    exit: 2
    ");
    let system = server.target("sslmode=verify-full&sslrootcert=system");
    insta::assert_snapshot!(refusal(&server, &system, &authority).await, @"
    error: the certificate of `127.0.0.1:PORT` is not signed by a known authority
    hint: set sslrootcert to the certificate of the authority that signed it
    exit: 2
    ");
    let nobody = server.target("sslmode=verify-ca");
    insta::assert_snapshot!(refusal(&server, &nobody, &authority).await, @"
    error: sslmode=verify-ca needs a certificate authority
    hint: set sslrootcert, or use sslmode=verify-full to trust the system's authorities
    exit: 2
    ");
    let missing = with_roots(&server, "verify-full", &authority.path("missing.crt"));
    insta::assert_snapshot!(refusal(&server, &missing, &authority).await, @"
    error: cannot read sslrootcert `DIR/missing.crt`
    caused by: No such file or directory (os error 2)
    hint: set sslrootcert to a readable file
    exit: 2
    ");
    let key = with_roots(&server, "verify-full", &authority.path("ca.key"));
    insta::assert_snapshot!(refusal(&server, &key, &authority).await, @"
    error: sslrootcert `DIR/ca.key` contains no readable certificate
    hint: use a PEM file that begins with -----BEGIN CERTIFICATE-----
    exit: 2
    ");
    let session = enter(&with_roots(
        &server,
        "verify-full",
        &authority.path("ca.crt"),
    ))
    .await
    .unwrap();
    crate::pg_connect::assert_cancels(session).await;
}

#[tokio::test]
async fn a_certificate_for_another_host_passes_verify_ca_only() {
    let authority = Authority::new().await;
    authority
        .issue("elsewhere", "DNS:db.example.org", "-days 2")
        .await;
    let server = authority
        .serve("elsewhere", "host all all 127.0.0.1/32 trust")
        .await;
    enter(&with_roots(&server, "verify-ca", &authority.path("ca.crt")))
        .await
        .unwrap();
    let full = with_roots(&server, "verify-full", &authority.path("ca.crt"));
    insta::assert_snapshot!(refusal(&server, &full, &authority).await, @"
    error: the certificate of `127.0.0.1:PORT` is issued for another host
    hint: connect with the host name in the certificate, or check where this name resolves to
    exit: 2
    ");
    let named = full.with_address("localhost", server.port);
    insta::assert_snapshot!(refusal(&server, &named, &authority).await, @"
    error: the certificate of `localhost:PORT` is issued for another host
    hint: connect with the host name in the certificate, or check where this name resolves to
    exit: 2
    ");
    // With `hostaddr`, the certificate is compared with the host name.
    let roots = authority.path("ca.crt");
    let apart = format!(
        "host=db.example.org hostaddr=127.0.0.1 port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={}",
        server.port,
        roots.display()
    );
    enter(&Target::parse(&apart).unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_reported() {
    let authority = Authority::new().await;
    authority
        .issue("old", "DNS:localhost,IP:127.0.0.1", "-days -1")
        .await;
    let server = authority
        .serve("old", "host all all 127.0.0.1/32 trust")
        .await;
    let target = with_roots(&server, "verify-full", &authority.path("ca.crt"));
    insta::assert_snapshot!(refusal(&server, &target, &authority).await, @"
    error: the certificate of `127.0.0.1:PORT` has expired
    hint: renew the certificate on the server
    exit: 2
    ");
    enter(&server.target("sslmode=require")).await.unwrap();
}

#[tokio::test]
async fn allow_and_prefer_fall_back_where_the_server_insists() {
    let authority = Authority::new().await;
    authority.issue("server", "IP:127.0.0.1", "-days 2").await;
    let insists = authority
        .serve("server", "hostssl all all 127.0.0.1/32 trust")
        .await;
    assert!(is_encrypted(&enter(&insists.target("sslmode=allow")).await.unwrap()).await);
    let plain = insists.target("sslmode=disable");
    insta::assert_snapshot!(refusal(&insists, &plain, &authority).await, @r#"
    error: cannot connect to database `postgres` at `127.0.0.1:PORT`
    caused by: no pg_hba.conf entry for host "127.0.0.1", user "postgres", database "postgres", no encryption (SQLSTATE 28000)
    hint: the server's pg_hba.conf rejects this role from this host, or without TLS; the role may also not exist or lack LOGIN
    exit: 2
    "#);
    let refuses = authority
        .serve("server", "hostnossl all all 127.0.0.1/32 trust")
        .await;
    assert!(!is_encrypted(&enter(&refuses.target("sslmode=prefer")).await.unwrap()).await);
    assert!(enter(&refuses.target("sslmode=require")).await.is_err());
}

#[tokio::test]
async fn client_certificates_authenticate() {
    let authority = Authority::new().await;
    authority.issue("server", "IP:127.0.0.1", "-days 2").await;
    authority.issue("postgres", "DNS:client", "-days 2").await;
    authority
        .openssl("pkcs8 -topk8 -nocrypt -in postgres.key -out postgres.pk8")
        .await;
    let server = authority
        .serve("server", "hostssl all all 127.0.0.1/32 cert")
        .await;
    let with_key = |key: &str| {
        let (cert, key) = (authority.path("postgres.crt"), authority.path(key));
        server.target(&format!(
            "sslmode=require&sslcert={}&sslkey={}",
            cert.display(),
            key.display()
        ))
    };
    enter(&with_key("postgres.pk8")).await.unwrap();
    let none = server.target("sslmode=require");
    insta::assert_snapshot!(refusal(&server, &none, &authority).await, @"
    error: cannot connect to database `postgres` at `127.0.0.1:PORT`
    caused by: connection requires a valid client certificate (SQLSTATE 28000)
    hint: the server's pg_hba.conf rejects this role from this host, or without TLS; the role may also not exist or lack LOGIN
    exit: 2
    ");
    authority.other_forms_of_keys().await;
    for key in ["postgres.pkcs1", "old-postgres.key"] {
        let certificate = if key == "postgres.pkcs1" {
            "postgres.crt"
        } else {
            "old-postgres.crt"
        };
        let target = server.target(&format!(
            "sslmode=require&sslcert={}&sslkey={}",
            authority.path(certificate).display(),
            authority.path(key).display()
        ));
        // The system's TLS accepts one form only, and the hint converts to it.
        if cfg!(feature = "native-tls") {
            let refusal = refusal(&server, &target, &authority).await;
            assert!(
                refusal.contains("hint: convert the key: openssl pkcs8 -topk8"),
                "{refusal}"
            );
        } else {
            enter(&target).await.unwrap();
        }
    }
    insta::assert_snapshot!(refusal(&server, &with_key("encrypted.pk8"), &authority).await, @"
    error: sslkey `DIR/encrypted.pk8` is encrypted
    hint: use an unencrypted PEM file: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8
    exit: 2
    ");
    let strange = refusal(&server, &with_key("stranger.pk8"), &authority).await;
    let first = strange.lines().next().unwrap();
    assert_eq!(
        first,
        "error: sslkey `DIR/stranger.pk8` does not match sslcert `DIR/postgres.crt`"
    );
    std::fs::write(
        authority.path("old.key"),
        "-----BEGIN RSA PRIVATE KEY-----\n",
    )
    .unwrap();
    let mode = |name: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(authority.path(name), std::fs::Permissions::from_mode(mode))
            .unwrap();
    };
    mode("old.key", 0o600);
    insta::assert_snapshot!(refusal(&server, &with_key("old.key"), &authority).await, @"
    error: sslkey `DIR/old.key` contains no readable private key
    hint: use an unencrypted PEM file: openssl pkcs8 -topk8 -nocrypt -in client.key -out client.pk8
    exit: 2
    ");
    mode("postgres.pk8", 0o644);
    insta::assert_snapshot!(refusal(&server, &with_key("postgres.pk8"), &authority).await, @"
    error: sslkey `DIR/postgres.pk8` is readable by other users
    hint: chmod 600 DIR/postgres.pk8
    exit: 2
    ");
}

/// Starts a server with TLS that accepts the role `bound` with its password.
async fn asking_for_a_password(authority: &Authority) -> TcpServer {
    authority.issue("server", "IP:127.0.0.1", "-days 2").await;
    let rules = "host all bound 127.0.0.1/32 scram-sha-256";
    let server = authority.serve("server", rules).await;
    let admin = enter(&server.socket()).await.unwrap();
    admin
        .run(&Sql::new("CREATE ROLE bound LOGIN PASSWORD 'right'"))
        .await
        .unwrap();
    server
}

fn as_bound(server: &TcpServer, parameters: &str) -> Target {
    server
        .target(parameters)
        .with_user("bound")
        .with_password(Secret::new("right"))
}

#[tokio::test]
async fn channel_binding_is_used() {
    let authority = Authority::new().await;
    let server = asking_for_a_password(&authority).await;
    let bound = |parameters: &str| as_bound(&server, parameters);
    enter(&bound("sslmode=require&channel_binding=require"))
        .await
        .unwrap();
    let plain = bound("sslmode=disable&channel_binding=require");
    insta::assert_snapshot!(refusal(&server, &plain, &authority).await, @"
    error: channel binding is not possible with `127.0.0.1:PORT`
    caused by: server did not use channel binding
    hint: use sslmode=require or stronger, or remove channel_binding=require
    exit: 2
    ");
    let trusted = bound("sslmode=require&channel_binding=disable");
    enter(&trusted).await.unwrap();
}

#[tokio::test]
async fn a_rejected_client_certificate_is_reported() {
    let authority = Authority::new().await;
    authority.issue("server", "IP:127.0.0.1", "-days 2").await;
    authority
        .openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=postgres -keyout ours.key -out ours.crt")
        .await;
    let server = authority
        .serve("server", "hostssl all all 127.0.0.1/32 cert")
        .await;
    let ours = server.target(&format!(
        "sslmode=require&sslcert={}&sslkey={}",
        authority.path("ours.crt").display(),
        authority.path("ours.key").display()
    ));
    // In TLS 1.3 the client finishes before the server has checked its certificate, in TLS 1.2 it does not.
    for version in ["TLSv1.3", "TLSv1.2"] {
        change(&server, &[("ssl_max_protocol_version", version)]).await;
        let refusal = refusal(&server, &ours, &authority).await;
        let first = refusal.lines().next().unwrap();
        assert_eq!(
            first, "error: the server at `127.0.0.1:PORT` rejected the client certificate",
            "{version}: {refusal}"
        );
    }
}

/// Changes settings of a running server, and waits until new sessions have them.
async fn change(server: &TcpServer, settings: &[(&str, &str)]) {
    let loaded = async || {
        let session = enter(&server.socket()).await.unwrap();
        rows(&session, "SELECT pg_conf_load_time()").await[0][0].clone()
    };
    let before = loaded().await;
    let session = enter(&server.socket()).await.unwrap();
    for (name, value) in settings {
        let set = format!("ALTER SYSTEM SET {name} = '{value}'");
        rows(&session, &set).await;
    }
    rows(&session, "SELECT pg_reload_conf()").await;
    for _ in 0..3000 {
        if loaded().await != before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the server does not take its new settings");
}

#[tokio::test]
async fn channel_binding_works_with_every_kind_of_certificate() {
    let authority = Authority::new().await;
    let server = asking_for_a_password(&authority).await;
    let bound = |parameters: &str| as_bound(&server, parameters);
    let native = cfg!(feature = "native-tls");
    let ec = "ec -pkeyopt ec_paramgen_curve:";
    for (key, hash, version, can_be_bound) in [
        ("rsa:2048", "sha256", "TLSv1.2", true),
        ("rsa:2048", "sha384", "TLSv1.3", true),
        ("rsa:3072", "sha512", "TLSv1.2", true),
        (&format!("{ec}P-256"), "sha224", "TLSv1.3", true),
        (&format!("{ec}P-256"), "sha256", "TLSv1.2", true),
        (&format!("{ec}P-384"), "sha384", "TLSv1.3", true),
        // The signature algorithm does not define a hash.
        ("ed25519", "sha256", "TLSv1.3", false),
        // rustls cannot verify that the server has such a key.
        (&format!("{ec}P-521"), "sha512", "TLSv1.3", native),
    ] {
        authority.openssl(&format!("req -x509 -newkey {key} -{hash} -nodes -days 2 -subj /CN=kind -keyout kind.key -out kind.crt")).await;
        for (name, from) in [("server.crt", "kind.crt"), ("server.key", "kind.key")] {
            server.put(name, &authority.text(from));
        }
        let versions = [
            ("ssl_min_protocol_version", version),
            ("ssl_max_protocol_version", version),
        ];
        change(&server, &versions).await;
        let session = enter(&bound("sslmode=require")).await.unwrap();
        let told = rows(
            &session,
            "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        );
        assert_eq!(told.await[0][0], version, "{key} {hash}");
        let required = enter(&bound("sslmode=require&channel_binding=require")).await;
        assert_eq!(
            required.is_ok(),
            can_be_bound,
            "{key} {hash} {version}: {:?}",
            required.err()
        );
    }
    // A key that cannot be verified is sufficient for encryption only.
    if !native {
        let file = authority.path("kind.crt");
        for mode in ["verify-ca", "verify-full"] {
            let refusal = refusal(&server, &with_roots(&server, mode, &file), &authority).await;
            let first = refusal.lines().next().unwrap();
            assert!(
                first.starts_with("error: TLS negotiation with")
                    || first.contains("cannot be verified"),
                "{refusal}"
            );
        }
    }
}

#[tokio::test]
async fn direct_tls_fails_with_old_servers() {
    let authority = Authority::new().await;
    authority.issue("server", "IP:127.0.0.1", "-days 2").await;
    let server = authority
        .serve("server", "host all all 127.0.0.1/32 trust")
        .await;
    let target = server.target("sslmode=require&sslnegotiation=direct");
    let version = enter(&server.socket())
        .await
        .unwrap()
        .server_info()
        .version_num;
    let direct = enter(&target).await;
    if version >= 170_000 {
        assert!(is_encrypted(&direct.unwrap()).await);
    } else {
        let error = direct.err().unwrap();
        let hint = af_db::error::hint_of(&error).unwrap();
        assert!(hint.contains("sslnegotiation"), "{error:#} {hint}");
    }
}
