//! Object stores to test against: moto for S3 and Google's XML interface, Azurite for Azure, from their package registries.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use af_db::pg::child_server::{ChildServer, ShutdownMode};
use af_db::pg::program::Program;
use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::support::packages;
use crate::support::tcp_server::free_port;

/// An emulator that lives as long as this value.
pub(super) struct Emulator {
    pub(super) port: u16,
    _kept: ChildServer,
    _folder: tempfile::TempDir,
}

/// The name of the bucket or container that every emulator has.
pub(super) const BUCKET: &str = "archives";

/// Where emulators are installed, once for all runs.
fn installed(name: &str, install: impl FnOnce(&Path) -> Program) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let done = folder.join("complete");
    fs::create_dir_all(&folder).expect("a folder");
    let lock = fs::File::create(folder.join("lock")).expect("a lock");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("a lock");
    if !done.exists() {
        let tool = install(&folder);
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(tool.run())
        });
        let ended = ended.join().expect("an installation");
        let ended = ended.unwrap_or_else(|error| {
            panic!("{error:#}\nhint: the tests of object stores need python3 with pip, and node with npm")
        });
        assert!(
            ended.status.success(),
            "{name} could not be installed: {}\nhint: the tests of object stores need a package registry, once",
            ended.stderr
        );
        fs::write(done, "").expect("a note");
    }
    folder
}

fn start(tool: &Program, port: u16, folder: tempfile::TempDir) -> Emulator {
    let log = fs::File::create(folder.path().join("log")).expect("a log");
    let kept = ChildServer::start(tool, log, ShutdownMode::Immediate).expect("an emulator");
    // TenantLoad all of Python's or Node's modules takes a machine with much else to do a while.
    for _ in 0..2400 {
        if kept.ended().is_some() {
            break;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Emulator {
                port,
                _kept: kept,
                _folder: folder,
            };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    panic!("the emulator does not listen: {said}");
}

/// Starts an S3 of our own with an empty bucket.
pub(super) fn s3() -> Emulator {
    let home = installed("moto-5.2.5", |folder| {
        Program::new(packages::python())
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(folder)
            .arg("moto[server]==5.2.5")
    });
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let tool = Program::new(packages::python())
        .args(["-m", "moto.server", "-H", "127.0.0.1", "-p"])
        .arg(port.to_string())
        .env("PYTHONPATH", home)
        .directory(folder.path());
    let emulator = start(&tool, port, folder);
    let answer = request(port, &format!("PUT /{BUCKET}"), &[], "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    emulator
}

/// Starts an Azure of our own with an empty container.
pub(super) fn azure() -> Emulator {
    let home = installed("azurite-3.35.0", |folder| {
        Program::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund"])
            .arg("azurite@3.35.0")
            .directory(folder)
    });
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let tool = Program::new(home.join("node_modules/.bin/azurite-blob"))
        .args(["--inMemoryPersistence", "--skipApiVersionCheck", "--silent"])
        .args(["--blobHost", "127.0.0.1", "--blobPort"])
        .arg(port.to_string())
        .directory(folder.path());
    let emulator = start(&tool, port, folder);
    make_container(port);
    emulator
}

/// The account and key every Azurite has, as its documentation prints them.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn make_container(port: u16) {
    let date = chrono::Utc::now()
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    let version = "2021-08-06";
    let signed = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    );
    let base64 = base64::engine::general_purpose::STANDARD;
    let key = base64.decode(KEY).expect("a key");
    let signature = base64.encode(hmac(&key, signed.as_bytes()));
    let answer = request(
        port,
        &format!("PUT /{ACCOUNT}/{BUCKET}?restype=container"),
        &[
            format!("x-ms-date: {date}"),
            format!("x-ms-version: {version}"),
            format!("Authorization: SharedKey {ACCOUNT}:{signature}"),
        ],
        "",
    );
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// HMAC with SHA-256; the key is no longer than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| -> Vec<u8> {
        (0..64)
            .map(|at| key.get(at).copied().unwrap_or(0) ^ with)
            .collect()
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    outer.to_vec()
}

/// Sends a request and gives the whole answer.
pub(super) fn request(port: u16, what: &str, headers: &[String], body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("an emulator");
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .expect("a request");
    let mut answer = Vec::new();
    // An emulator that keeps the line open has answered all the same.
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time limit");
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn variables(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// What a person sets to reach an S3 at this port.
pub(super) fn s3_variables(port: u16) -> BTreeMap<String, String> {
    variables(&[
        ("AWS_ACCESS_KEY_ID", "somebody".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "hush".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
    ])
}

/// What a person sets to reach a Google Cloud Storage at this port.
pub(super) fn gs_variables(port: u16) -> BTreeMap<String, String> {
    variables(&[
        ("GOOGLE_BEARER_TOKEN", "hush".to_owned()),
        ("STORAGE_EMULATOR_HOST", format!("http://127.0.0.1:{port}")),
    ])
}

/// What a person sets to reach an Azure at this port.
pub(super) fn az_variables(port: u16) -> BTreeMap<String, String> {
    variables(&[
        ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
        ("AZURE_STORAGE_ACCOUNT_KEY", KEY.to_owned()),
        (
            "AZURE_STORAGE_ENDPOINT",
            format!("http://127.0.0.1:{port}/{ACCOUNT}"),
        ),
    ])
}
