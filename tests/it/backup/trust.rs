//! An archive is not believed: neither what it says of roles, nor which files it lists, nor how large they become.

use std::collections::BTreeSet;
use std::path::Path;

use af_db::backup::archive::Archive;
use af_db::error::{Exit, exit_of};
use af_db::event::silent;
use sha2::{Digest as _, Sha256};

use super::Bench;
use crate::support::project::Project;
use crate::support::server;

/// What roles of another server may do after a restore: by name, attributes, memberships.
async fn roles(target: &af_db::pg::target::Target) -> Vec<Vec<String>> {
    let session = af_db::pg::connect::open(target, &silent)
        .await
        .expect("it works");
    let rows = server::rows(
        &session,
        "SELECT r.rolname, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolcanlogin OR r.rolreplication OR r.rolbypassrls, \
         coalesce((SELECT string_agg(m.roleid::regrole::text, ' ' ORDER BY 1) FROM pg_auth_members AS m WHERE m.member = r.oid), '') \
         FROM pg_roles AS r WHERE r.oid >= 16384 ORDER BY 1",
    )
    .await;
    session.close().await;
    rows
}

#[tokio::test]
async fn restored_roles_get_no_unrequested_attributes() {
    let bench = Bench::new().await;
    bench
        .database
        .run(
            "CREATE ROLE boss SUPERUSER LOGIN REPLICATION BYPASSRLS CREATEROLE CREATEDB; \
             CREATE ROLE team; CREATE ROLE worker LOGIN IN ROLE team; CREATE ROLE there LOGIN IN ROLE team; \
             GRANT pg_execute_server_program, there TO boss; GRANT pg_write_server_files TO worker; \
             CREATE TABLE t (a int); ALTER TABLE t OWNER TO boss; GRANT SELECT ON t TO team, worker, there",
        )
        .await;
    let archive = bench.backup().await;
    for (trusted, expected) in [
        (
            &[][..],
            [
                ["boss", "f", ""],
                ["team", "f", ""],
                ["there", "f", ""],
                ["worker", "f", "team"],
            ],
        ),
        (
            &["boss", "team"][..],
            [
                ["boss", "t", "pg_execute_server_program there"],
                ["team", "f", ""],
                ["there", "f", "team"],
                ["worker", "f", "team"],
            ],
        ),
    ] {
        let other = server::own(None).await;
        let target = other.scratch.target("elsewhere").unwrap();
        let admin = other.scratch.target("postgres").unwrap();
        let session = af_db::pg::connect::open(&admin, &silent).await.unwrap();
        session
            .run(&af_db::sql::safe::Sql::new("CREATE ROLE there"))
            .await
            .unwrap();
        session.close().await;
        let mut options = super::restore_options(&target, bench.folder.path());
        options.role_attributes = trusted.iter().map(|&one| one.to_owned()).collect();
        let restored = bench.restore(&archive, &options).await.unwrap();
        assert_eq!(restored.findings, []);
        assert_eq!(roles(&target).await, expected, "{trusted:?}");
    }
    let mut options = bench.restore_options("never");
    options.role_attributes = BTreeSet::from(["bosss".to_owned()]);
    let error = bench.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");
    assert_eq!(bench.databases().await, [bench.database.name.as_str()]);
}

#[tokio::test]
async fn a_protected_server_needs_confirmation_for_new_databases() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    database.run("CREATE TABLE t (a int)").await;
    project.run(&["backup"]).await.ok();
    project.write(
        "af-db.yaml",
        "environments: { production: { url: \"${DATABASE_URL}\", protected: true } }\n",
    );
    let into = format!("{}_beside", database.name);
    let restore = ["restore", "--into", &into];
    let drill = ["restore", "--drill", "--on", project.url()];
    for arguments in [&restore[..], &drill] {
        for more in [&["--yes"][..], &["--env", "production"]] {
            let ran = project.run(&[arguments, more].concat()).await;
            assert_eq!(ran.status, 4, "{arguments:?} {more:?} {}", ran.seen());
            assert!(
                ran.stderr
                    .contains("but there is no terminal; nothing was changed"),
                "{}",
                ran.seen()
            );
        }
    }
    let made = format!(
        "SELECT count(*) FROM pg_database WHERE starts_with(datname, '{}_')",
        database.name
    );
    assert_eq!(database.one(&made).await, "0");
    // A project that has never met the protected environment.
    project.write("af-db.yaml", "");
    std::fs::remove_dir_all(project.folder.path().join(".af-db/identities")).expect("its memory");
    project.run(&drill).await.ok();
    project.run(&restore).await.ok();
    assert_eq!(database.one(&made).await, "1");
    database.run(&format!("DROP DATABASE {into}")).await;
}

/// Replaces a file of an archive and fixes the description, checksum and all.
fn forge(folder: &Path, file: &str, content: &[u8], declared: u64) {
    let path = folder.join("archive.json");
    let mut archive =
        Archive::from_json("a", &std::fs::read(&path).expect("it works")).expect("it works");
    let stored = zstd::encode_all(content, 19).expect("it works");
    let entry = archive
        .files
        .iter_mut()
        .find(|one| one.name == file)
        .expect("it works");
    entry.size = stored.len() as u64;
    entry.content = declared;
    entry.sha256 = Sha256::digest(&stored)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    std::fs::write(folder.join(file), stored).expect("it works");
    std::fs::write(path, archive.to_json().expect("it works")).expect("it works");
}

#[tokio::test]
async fn a_forged_archive_is_refused_whatever_its_checksums_say() {
    let bench = Bench::new().await;
    bench
        .database
        .run(
            "CREATE TABLE t AS SELECT 1 AS a; CREATE VIEW harmless AS SELECT 'harmless'::text AS a",
        )
        .await;
    let archive = bench.backup().await;
    let folder = bench.archive_path(&archive);
    let whole: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    let refused = async |why: &str| {
        let error = bench.verify(&archive, &[]).await.err();
        let error = error.unwrap_or_else(|| panic!("accepted: {why}"));
        assert!(format!("{error:#}").contains(why), "{why}: {error:#}");
        let restored = bench
            .restore(&archive, &bench.restore_options("never"))
            .await;
        assert!(restored.is_err(), "restored: {why}");
        for (name, bytes) in &whole {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        bench
            .verify(&archive, &[])
            .await
            .expect("the whole one is still accepted");
    };
    let dump =
        zstd::decode_all(&std::fs::read(folder.join("database.dump.zst")).unwrap()[..]).unwrap();
    // The text of the schema, of the same length.
    let at = dump
        .windows(8)
        .position(|bytes| bytes == b"harmless")
        .unwrap();
    let mut other = dump.clone();
    let defined = dump
        .windows(9)
        .position(|bytes| bytes == b"'harmless")
        .unwrap_or(at);
    other[defined + 1..defined + 9].copy_from_slice(b"harmful!");
    forge(&folder, "database.dump.zst", &other, other.len() as u64);
    refused("does not match proof.json").await;
    // A few bytes that become many: more than was said, and more than is kept in memory.
    let zeros = vec![b' '; 48 << 20];
    forge(&folder, "proof.json.zst", &zeros, 10);
    refused("the content is longer than declared").await;
    forge(&folder, "proof.json.zst", &zeros, zeros.len() as u64);
    refused("is larger than the file allows").await;
    // A table of contents that never ends.
    let mut endless = dump[..40].to_vec();
    endless.resize(48 << 20, 0);
    forge(&folder, "database.dump.zst", &endless, endless.len() as u64);
    let error = bench.verify(&archive, &[]).await.unwrap_err();
    assert!(!format!("{error:#}").is_empty());
}
