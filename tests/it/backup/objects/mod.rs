//! Archives in object stores: as reliable as in a folder, and never accepted as complete when the store is not.

mod emulator;
mod faulty;

use std::collections::BTreeMap;
use std::time::Duration;

use af_db::backup::archive::Archive;
use af_db::backup::dump;
use af_db::backup::restore;
use af_db::backup::store::Store;
use af_db::backup::unpack::{self, ArchiveSource, Verified};
use af_db::backup::verification::{self, VerificationKind};
use af_db::error::{Exit, Failure, exit_of};
use af_db::event::{Interrupt, silent};
use anyhow::Result;

use super::{Bench, options};
use emulator::{BUCKET, Emulator};
use faulty::{Fault, Faulty};

fn store(scheme: &str, variables: &BTreeMap<String, String>) -> Store {
    let url = format!("{scheme}://{BUCKET}/one/two");
    Store::parse(&url, std::path::Path::new("/"), variables).expect("a store")
}

async fn backup(bench: &Bench, store: &Store) -> Result<Archive> {
    let options = options(&bench.database.target);
    dump::run(&options, store, &silent, &Interrupt::default()).await
}

async fn verify(store: &Store, name: &str) -> Result<Verified> {
    let source = ArchiveSource {
        store,
        name,
        identities: &[],
    };
    unpack::verify(&source, &silent, &Interrupt::default()).await
}

/// An archive's whole life in a store.
async fn lives_in(store: &Store) {
    let bench = Bench::full().await;
    assert_eq!(
        store.names().expect("a store that works"),
        [] as [String; 0]
    );
    let archive = backup(&bench, store).await.expect("a store that works");
    assert_eq!(
        store.names().expect("a store that works"),
        [archive.name.as_str()]
    );
    assert_eq!(
        store.files(&archive.name).expect("a store that works"),
        [
            "archive.json",
            "database.dump.zst",
            "proof.json.zst",
            "roles.sql.zst"
        ]
    );
    assert!(
        verify(store, &archive.name)
            .await
            .expect("a store that works")
            .contents
            .is_some()
    );
    let noted = verification::note(store, &archive.name, VerificationKind::Read, None);
    assert_eq!(noted, None, "a store that works");
    assert!(verification::read(store, &archive.name).is_some());
    let (options, interrupt) = (bench.restore_options("again"), Interrupt::default());
    let restored = restore::run(&options, store, &archive.name, &silent, &interrupt).await;
    assert_eq!(restored.expect("a store that works").findings, []);
    store.remove(&archive.name).expect("a store that works");
    assert_eq!(
        store.names().expect("a store that works"),
        [] as [String; 0]
    );
    assert_eq!(
        store.files(&archive.name).expect("a store that works"),
        [] as [String; 0]
    );
    let error = store.archive(&archive.name).expect_err("it is gone");
    assert!(
        error
            .to_string()
            .starts_with(&format!("no backup `{}`", archive.name)),
        "{error:#}"
    );
}

#[tokio::test]
async fn an_archive_lives_in_s3() {
    let emulator = emulator::s3();
    lives_in(&store("s3", &emulator::s3_variables(emulator.port))).await;
}

#[tokio::test]
async fn an_archive_lives_in_google_cloud_storage() {
    let emulator = emulator::s3();
    lives_in(&store("gs", &emulator::gs_variables(emulator.port))).await;
}

#[tokio::test]
async fn an_archive_lives_in_azure() {
    let emulator = emulator::azure();
    lives_in(&store("az", &emulator::az_variables(emulator.port))).await;
}

/// A bench whose dump takes several parts, before a store that can be made to fail.
async fn faulty_bench() -> (Bench, Emulator, Faulty, Store) {
    let bench = Bench::full().await;
    bench
        .database
        .run("CREATE TABLE noise AS SELECT n, (SELECT string_agg(md5(random()::text || n || m), '') FROM generate_series(1, 30) AS m) FROM generate_series(1, 55000) AS n")
        .await;
    let emulator = emulator::s3();
    let faulty = Faulty::start(emulator.port);
    let store = store("s3", &emulator::s3_variables(faulty.port));
    (bench, emulator, faulty, store)
}

fn uploads(emulator: &Emulator) -> usize {
    let answer = emulator::request(emulator.port, &format!("GET /{BUCKET}?uploads"), &[], "");
    answer.matches("<UploadId>").count()
}

#[tokio::test]
async fn temporary_store_failures_are_retried() {
    let (bench, _emulator, faulty, store) = faulty_bench().await;
    for fault in [
        Fault::FirstParts(2),
        Fault::CutParts(2),
        Fault::Slow(Duration::from_millis(150)),
        Fault::LostComplete,
        Fault::CutReads,
    ] {
        faulty.set(fault);
        let archive = backup(&bench, &store)
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error:#}"));
        assert!(faulty.struck() > 0, "{fault:?} did not strike");
        faulty.set(Fault::None);
        assert!(archive.stored_bytes() > 17 << 20, "several parts");
        verify(&store, &archive.name).await.unwrap();
        store.remove(&archive.name).unwrap();
    }
}

#[tokio::test]
async fn a_store_that_fails_or_loses_data_lists_no_archive() {
    let (bench, emulator, faulty, store) = faulty_bench().await;
    for (fault, expected) in [
        (Fault::Full, "the store is full; no backup was made"),
        (Fault::SwallowPart, "writing to s3://archives/one/two"),
        (Fault::DropPart, "lost part of database.dump.zst"),
        (Fault::FlipBit, "database.dump.zst is damaged"),
        (Fault::ShortReads, "database.dump.zst is damaged: "),
        (Fault::Forbidden, "access denied"),
    ] {
        faulty.set(fault);
        let Err(error) = backup(&bench, &store).await else {
            panic!("{fault:?} was not noticed");
        };
        assert!(faulty.struck() > 0, "{fault:?} did not strike");
        let text = format!("{error:#}");
        assert!(text.contains(expected), "{fault:?}: {text}");
        assert!(!text.contains("hush"), "{fault:?}: {text}");
        assert_eq!(exit_of(&error), Exit::CannotDo, "{fault:?}: {text}");
        let hint = error
            .downcast_ref::<Failure>()
            .and_then(|one| one.hint.as_ref());
        assert!(hint.is_some(), "{fault:?} has no next step: {text}");
        faulty.set(Fault::None);
        assert_eq!(store.names().unwrap(), [] as [String; 0], "{fault:?}");
        assert_eq!(uploads(&emulator), 0, "{fault:?} left an upload");
    }
}

#[tokio::test]
async fn parts_are_uploaded_in_parallel() {
    let (bench, emulator, faulty, store) = faulty_bench().await;
    bench.database.run("CREATE TABLE more AS TABLE noise").await;
    let mut options = options(&bench.database.target);
    options.jobs = Some(2);
    let backup = async |options: &dump::Options| {
        dump::run(options, &store, &silent, &Interrupt::default()).await
    };
    faulty.set(Fault::FirstParts(2));
    let archive = backup(&options).await.unwrap();
    assert!(faulty.struck() > 0, "it did not strike");
    faulty.set(Fault::None);
    for dump in archive.dumps().unwrap() {
        assert!(
            dump.size > 17 << 20,
            "{} is sent in several parts",
            dump.name
        );
    }
    verify(&store, &archive.name).await.unwrap();
    store.remove(&archive.name).unwrap();
    for (fault, expected) in [
        (Fault::Full, "the store is full; no backup was made"),
        (Fault::DropPart, "lost part of "),
        (Fault::Silence, "made no progress"),
    ] {
        faulty.set(fault);
        // Only where it is meant to: a store that works may well be slow.
        if fault == Fault::Silence {
            options.stall_timeout = Duration::from_secs(5);
        }
        let error = format!("{:#}", backup(&options).await.unwrap_err());
        assert!(error.contains(expected), "{fault:?}: {error}");
        faulty.set(Fault::None);
        assert_eq!(store.names().unwrap(), [] as [String; 0], "{fault:?}");
        assert_eq!(uploads(&emulator), 0, "{fault:?} left an upload");
    }
}

#[tokio::test]
async fn a_failing_store_is_retried_and_then_reported() {
    let (bench, _emulator, faulty, store) = faulty_bench().await;
    faulty.set(Fault::EveryWrite);
    let error = backup(&bench, &store).await.unwrap_err();
    assert!(faulty.struck() > 3, "tried again");
    assert!(
        error.to_string().contains("unexpected response"),
        "{error:#}"
    );
}

#[tokio::test]
async fn a_hanging_store_is_cancelled_and_releases_the_snapshot() {
    let (bench, _emulator, faulty, store) = faulty_bench().await;
    faulty.set(Fault::Silence);
    let mut options = options(&bench.database.target);
    options.stall_timeout = Duration::from_secs(3);
    let error = dump::run(&options, &store, &silent, &Interrupt::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("made no progress"), "{error:#}");
    let held = "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    assert_eq!(bench.database.one(held).await, "0");
    faulty.set(Fault::None);
    assert_eq!(store.names().unwrap(), [] as [String; 0]);
}

#[tokio::test]
async fn an_archive_that_the_store_damages_later_is_refused() {
    let (bench, emulator, faulty, store) = faulty_bench().await;
    let archive = backup(&bench, &store).await.unwrap();
    let before = bench.databases().await;
    faulty.set(Fault::ShortReads);
    let error = verify(&store, &archive.name).await.err().unwrap();
    assert!(
        error.to_string().contains("database.dump.zst is damaged"),
        "{error:#}"
    );
    let (options, interrupt) = (bench.restore_options("never"), Interrupt::default());
    let restored = restore::run(&options, &store, &archive.name, &silent, &interrupt).await;
    assert_eq!(exit_of(&restored.unwrap_err()), Exit::CannotDo);
    faulty.set(Fault::None);
    let lost = format!("DELETE /{BUCKET}/one/two/{}/roles.sql.zst", archive.name);
    let signed = "Authorization: AWS4-HMAC-SHA256 Credential=somebody/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let answer = emulator::request(emulator.port, &lost, &[signed.to_owned()], "");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let error = verify(&store, &archive.name).await.err().unwrap();
    assert!(
        error.to_string().contains("roles.sql.zst is missing"),
        "{error:#}"
    );
    assert_eq!(bench.databases().await, before);
}

#[tokio::test]
async fn leftovers_of_killed_runs_are_not_listed() {
    let emulator = emulator::s3();
    let store = store("s3", &emulator::s3_variables(emulator.port));
    let pending = store.begin("shop-20260102T030405Z", 0).unwrap();
    let mut file = pending.create("database.dump.zst").unwrap();
    file.write_all(b"rows").unwrap();
    file.complete().unwrap();
    // Killed: nothing of it is tidied up.
    std::mem::forget(pending);
    assert_eq!(store.names().unwrap(), [] as [String; 0]);
    assert_eq!(
        store.leftovers().unwrap(),
        [] as [String; 0],
        "too recent to count"
    );
    let error = store.begin("shop-20260102T030405Z", 0).err().unwrap();
    assert!(error.to_string().contains("already"), "{error:#}");
}
