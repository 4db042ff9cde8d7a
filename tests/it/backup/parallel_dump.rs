//! A dump in parts: several sessions of one moment, put together again where it is read.

use std::fs;
use std::path::{Path, PathBuf};

use af_db::backup::archive::{Archive, Scope};
use af_db::backup::clients;
use af_db::backup::compare;
use af_db::backup::dump_inspector::RowSum;
use af_db::backup::mapping::Mapping;
use af_db::event::silent;
use af_db::pg::program::Program;

use super::{Bench, options};
use crate::support::project::Project;

/// Makes an archive in three parts.
async fn in_parts(bench: &Bench, scope: Scope) -> Archive {
    let mut options = options(&bench.database.target);
    options.jobs = Some(3);
    options.scope = scope;
    bench.next_backup(&options).await
}

fn names(archive: &Archive) -> Vec<&str> {
    archive
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect()
}

const FILES: [&str; 5] = [
    "database.dump.zst",
    "rows-1.dump.zst",
    "rows-2.dump.zst",
    "roles.sql.zst",
    "proof.json.zst",
];

#[tokio::test]
async fn every_kind_of_object_is_restored_from_a_parallel_dump() {
    let bench = Bench::full().await;
    let archive = in_parts(&bench, Scope::default()).await;
    assert_eq!(names(&archive), FILES);
    assert_eq!(archive.version, 2);
    let whole = bench.next_backup(&options(&bench.database.target)).await;
    assert_eq!(archive.totals.rows, whole.totals.rows);
    assert_eq!(archive.totals.tables, whole.totals.tables);
    let proof = async |archive: &Archive| {
        let verified = bench.verify(archive, &[]).await.expect("a whole archive");
        let mut proof = verified.contents.expect("its contents").proof;
        // Each dump has a table of contents of its own.
        assert!(proof.contents.take().is_some());
        proof
    };
    assert_eq!(proof(&archive).await, proof(&whole).await);

    for (name, jobs) in [("one", 1), ("four", 4)] {
        let mut options = bench.restore_options(name);
        options.jobs = jobs;
        let restored = bench.restore(&archive, &options).await.expect("a restore");
        assert_eq!(restored.findings, [], "{name}");
    }
    // Other roles make another table of contents, longer than the old.
    bench
        .database
        .run(&format!("CREATE ROLE \"{}\"", "r ".repeat(30)))
        .await;
    let mut options = bench.restore_options("mapped");
    options.mapping =
        Mapping::parse(&[format!("app_owner={}", "r ".repeat(30))]).expect("a mapping");
    let restored = bench.restore(&archive, &options).await.expect("a restore");
    assert_eq!(restored.findings, []);
}

#[tokio::test]
async fn a_large_object_that_differs_is_named_in_a_parallel_dump() {
    let bench = Bench::full().await;
    let archive = in_parts(&bench, Scope::default()).await;
    let mut sum = RowSum::default();
    let unpacked = af_db::backup::unpack::unpack(
        &af_db::backup::unpack::ArchiveSource {
            store: &bench.store(),
            name: &archive.name,
            identities: &[],
        },
        bench.folder.path(),
        &Mapping::default(),
        &silent,
        &af_db::event::Interrupt::default(),
    )
    .await
    .expect("a whole archive");
    let (tell, told) = std::sync::mpsc::channel();
    let summary = unpacked.large_objects(Box::new(move |_, bytes, hash| {
        tell.send((bytes, hash)).expect("a receiver");
    }));
    summary.expect("the large objects");
    for (bytes, hash) in told {
        sum.rows += 1;
        sum.bytes += bytes;
        sum.hash = sum.hash.wrapping_add(hash);
    }
    assert_eq!(sum, unpacked.contents.summary.large_objects);
    assert!(sum.rows > 0, "there are some");
}

#[tokio::test]
async fn a_selection_is_dumped_in_parts() {
    let bench = Bench::full().await;
    let schema = Scope {
        schemas: vec!["shop".to_owned()],
        ..Scope::default()
    };
    let archive = in_parts(&bench, schema).await;
    assert_eq!(names(&archive).len(), FILES.len());
    assert!(bench.verify(&archive, &[]).await.is_ok());
    let tables = Scope {
        tables: vec!["shop.orders".to_owned(), "shop.events".to_owned()],
        ..Scope::default()
    };
    let mut options = options(&bench.database.target);
    (options.jobs, options.scope) = (Some(2), tables);
    let archive = bench.next_backup(&options).await;
    assert_eq!(archive.totals.rows, 1300);
    assert!(archive.files.iter().any(|file| file.name == FILES[1]));
    assert!(bench.verify(&archive, &[]).await.is_ok());
}

/// Undoes the compression of a file, as `zstd -d` would.
fn unpacked(archive: &Path, stem: &str, into: &Path) -> PathBuf {
    let stored = fs::File::open(archive.join(format!("{stem}.zst"))).expect("a part");
    let path = into.join(stem);
    zstd::stream::copy_decode(stored, fs::File::create(&path).expect("a file")).expect("zstd");
    path
}

#[tokio::test]
async fn parts_open_without_us() {
    let bench = Bench::full().await;
    let archive = in_parts(&bench, Scope::default()).await;
    let folder = bench.archive_path(&archive);
    let there = bench.folder.path();
    let parts = ["database.dump", "rows-1.dump", "rows-2.dump"];
    let parts = parts.map(|stem| unpacked(&folder, stem, there));
    bench
        .database
        .run("CREATE DATABASE by_hand TEMPLATE template0")
        .await;
    let target = bench.database.target.with_database("by_hand");
    let found = clients::search(&crate::support::server::places()).await;
    let found = found.expect("the client programs");
    let restore = async |section: &str, part: &Path| {
        let tool: Program = found[0]
            .tool("pg_restore", &target)
            .args(["--exit-on-error", "--dbname=by_hand"])
            .arg(format!("--section={section}"))
            .arg(part);
        let done = tool.run().await.expect("pg_restore");
        done.check("restoring by hand").expect("it is restored");
    };
    restore("pre-data", &parts[0]).await;
    for part in &parts {
        restore("data", part).await;
    }
    restore("post-data", &parts[0]).await;
    let verified = bench.verify(&archive, &[]).await.expect("a whole archive");
    let proof = verified.contents.expect("its contents").proof;
    let findings = compare::data::compare(&target, &proof, &silent).await;
    assert_eq!(findings.expect("a comparison"), []);
}

#[tokio::test]
async fn parts_of_different_dumps_are_refused() {
    let bench = Bench::full().await;
    let archive = in_parts(&bench, Scope::default()).await;
    let folder = bench.archive_path(&archive);
    let file = |index: usize| folder.join(FILES[index]);
    let describe = |archive: &Archive| {
        fs::write(
            folder.join("archive.json"),
            archive.to_json().expect("it is written"),
        )
        .expect("it is written");
    };
    let refused = async || {
        let error = bench.verify(&archive, &[]).await.expect_err("damage");
        let restore = bench
            .restore(&archive, &bench.restore_options("never"))
            .await;
        assert!(restore.is_err(), "restored: {error:#}");
        error.to_string()
    };
    // Two parts in each other's place.
    let swap = || {
        fs::rename(file(1), folder.join("x")).expect("a name");
        fs::rename(file(2), file(1)).expect("a name");
        fs::rename(folder.join("x"), file(2)).expect("a name");
    };
    swap();
    assert!(refused().await.starts_with("rows-1.dump.zst is damaged"));
    swap();
    // A part that is gone, and a description that knows nothing of it.
    fs::rename(file(2), bench.folder.path().join("gone")).expect("a name");
    assert!(refused().await.ends_with("rows-2.dump.zst is missing"));
    let mut forged = archive.clone();
    forged.files.remove(2);
    describe(&forged);
    assert!(refused().await.contains("does not match proof.json"));
    // The same part twice.
    fs::copy(file(1), file(2)).expect("a copy");
    forged = archive.clone();
    forged.files[2] = af_db::backup::archive::StoredFile {
        name: FILES[2].to_owned(),
        ..archive.files[1].clone()
    };
    describe(&forged);
    assert!(refused().await.contains("twice"));
    // The whole of it again.
    fs::rename(bench.folder.path().join("gone"), file(2)).expect("a name");
    describe(&archive);
    assert!(bench.verify(&archive, &[]).await.is_ok());
    assert_eq!(bench.databases().await, [bench.database.name.as_str()]);
}

#[tokio::test]
async fn jobs_are_reported_and_limited() {
    let bench = Bench::full().await;
    let project = Project::of(&bench.database.target);
    let made = project.run(&["backup", "--jobs", "2"]).await.ok();
    assert!(
        made.stdout
            .contains("\ndumped over 2 connections, one part each\n"),
        "{}",
        made.stdout
    );
    let verified = project.run(&["backup", "verify"]).await.ok();
    assert!(
        verified.stdout.contains("4 files OK"),
        "{}",
        verified.stdout
    );
    let drilled = project.run(&["restore", "--drill"]).await.ok();
    assert!(
        drilled.stdout.contains("contents match the backup"),
        "{}",
        drilled.stdout
    );
    let ran = project.run(&["backup", "--jobs", "0"]).await;
    assert_eq!(ran.status, 2, "{}", ran.seen());
}
