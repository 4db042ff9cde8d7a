//! What goes in comes out.

use af_db::backup::restore::Destination;
use af_db::error::{Exit, exit_of};
use af_db::event::silent;

use super::{Bench, options};

#[tokio::test]
async fn every_kind_of_object_is_restored_into_a_new_database() {
    let bench = Bench::full().await;
    let archive = bench.backup().await;
    assert_eq!(archive.totals.rows, 50 + 1000 + 300 + 3 + 4 + 1000 + 2);
    assert_eq!(archive.totals.large_objects, 3);
    assert!(bench.archive_path(&archive).join("archive.json").is_file());

    let verified = bench.verify(&archive, &[]).await.unwrap();
    assert!(verified.contents.is_some());

    for (name, jobs) in [("Re\"stored", 2), ("alone", 1)] {
        let mut options = bench.restore_options(name);
        options.jobs = jobs;
        let restored = bench.restore(&archive, &options).await.unwrap();
        assert_eq!(
            restored.findings,
            [],
            "an honest restore differs in nothing"
        );
        assert_eq!(restored.database.as_deref(), Some(name));
        assert_eq!(unknown_sizes(&bench, name).await, [] as [Vec<String>; 0]);
    }
    assert_eq!(
        bench.databases().await,
        ["Re\"stored", "alone", &bench.database.name]
    );
}

/// Returns the tables without statistics.
async fn unknown_sizes(bench: &Bench, database: &str) -> Vec<Vec<String>> {
    let target = bench.database.target.with_database(database);
    let session = af_db::pg::connect::open(&target, &silent)
        .await
        .expect("a session");
    crate::support::server::rows(
        &session,
        "SELECT oid::regclass FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'm') \
         AND relnamespace <> 99 AND reltuples = -1",
    )
    .await
}

#[tokio::test]
async fn names_survive_another_database_encoding() {
    let mut bench = Bench::new().await;
    bench
        .database
        .run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        .await;
    let target = bench.database.target.with_database("latin");
    let server = std::mem::replace(&mut bench.database.target, target);
    bench
        .database
        .run("CREATE TABLE t AS SELECT chr(228) AS a; CREATE TABLE more AS SELECT n FROM generate_series(1, 9) AS n")
        .await;
    let plain = bench.backup().await;
    // Names of objects that only other letters can spell, and a part that is chosen by such a name.
    bench
        .database
        .run(
            "ALTER TABLE t RENAME TO \"tä\"; ALTER TABLE \"tä\" RENAME a TO \"ö\"; CREATE SCHEMA \"ß\"; \
             CREATE SEQUENCE \"ß\".\"é\" START 7; SELECT nextval('\"ß\".\"é\"'); \
             CREATE FUNCTION \"ß\".\"ü\"() RETURNS text LANGUAGE sql AS $$ SELECT 'ü'::text $$",
        )
        .await;
    let odd = bench.next_backup(&options(&bench.database.target)).await;
    let mut parts = options(&bench.database.target);
    parts.jobs = Some(3);
    let parts = bench.next_backup(&parts).await;
    let mut only = options(&bench.database.target);
    only.scope.tables = vec!["public.\"tä\"".to_owned()];
    let only = bench.next_backup(&only).await;
    assert_eq!(only.totals.rows, 1);
    bench.database.target = server;
    for (name, archive) in [("a", &plain), ("b", &odd), ("c", &parts), ("d", &only)] {
        let restored = bench.restore(archive, &bench.restore_options(name)).await;
        assert_eq!(restored.unwrap().findings, [], "{name}");
        let target = bench.database.target.with_database(name);
        let session = af_db::pg::connect::open(&target, &silent).await.unwrap();
        let encoding = crate::support::server::rows(&session, "SHOW server_encoding").await;
        assert_eq!(encoding, [["LATIN1"]]);
    }
}

#[tokio::test]
async fn a_database_is_replaced_by_swap_and_the_old_one_is_kept() {
    let bench = Bench::full().await;
    let archive = bench.backup().await;
    bench
        .database
        .run("DELETE FROM keyless; DROP TABLE shop.egg CASCADE")
        .await;
    // A connected session stays: the swap ends it, not the other way round.
    let busy = bench.database.session().await;
    let mut options = bench.restore_options(&bench.database.name);
    let refused = bench.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Refused, "{refused:#}");
    assert!(refused.to_string().contains("is not empty"), "{refused}");

    options.place = Destination::Swap;
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!(restored.findings, []);
    drop(busy);
    assert_eq!(
        bench.database.one("SELECT count(*) FROM keyless").await,
        "1000"
    );
    let kept = restored.kept_as.unwrap();
    assert!(
        kept.starts_with(&format!("{}_before_", bench.database.name)),
        "{kept}"
    );
    assert_eq!(
        bench.databases().await,
        [bench.database.name.clone(), kept.clone()]
    );
    let old = af_db::pg::connect::open(&bench.database.target.with_database(&kept), &silent)
        .await
        .unwrap();
    let rows = crate::support::server::rows(&old, "SELECT count(*) FROM public.keyless").await;
    assert_eq!(rows, [["0"]]);
}

#[tokio::test]
async fn an_encrypted_archive_opens_only_with_its_key_and_with_standard_tools() {
    let bench = Bench::full().await;
    let (mine, other) = (
        age::x25519::Identity::generate(),
        age::x25519::Identity::generate(),
    );
    let mut options = options(&bench.database.target);
    options.recipients = vec![mine.to_public().to_string()];
    let archive = bench.try_backup(&options).await.unwrap();
    let folder = bench.archive_path(&archive);
    assert!(
        std::fs::read(folder.join("database.dump.zst.age"))
            .unwrap()
            .starts_with(b"age-encryption.org/v1")
    );

    let verify = async |keys: &[age::x25519::Identity]| bench.verify(&archive, keys).await;
    assert!(
        verify(&[]).await.unwrap().contents.is_none(),
        "checksums without a key"
    );
    assert!(
        verify(std::slice::from_ref(&mine))
            .await
            .unwrap()
            .contents
            .is_some()
    );
    let error = verify(std::slice::from_ref(&other)).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("none of the given keys"),
        "{error:#}"
    );

    let mut options = bench.restore_options("again");
    let refused = bench.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Refused);
    options.identities = vec![other];
    assert!(bench.restore(&archive, &options).await.is_err());
    assert_eq!(bench.databases().await, [bench.database.name.as_str()]);
    options.identities = vec![mine];
    assert_eq!(
        bench.restore(&archive, &options).await.unwrap().findings,
        []
    );
}
