//! What would make a dump silently partial, or a restore harmful, is refused before it begins.

use std::time::Duration;

use af_db::backup::archive::Scope;
use af_db::backup::restore::Destination;
use af_db::backup::snapshot;
use af_db::error::{Exit, exit_of};

use super::{Bench, options};
use crate::support::server;

#[tokio::test]
async fn a_role_that_does_not_see_every_row_may_not_back_up() {
    let bench = Bench::full().await;
    bench
        .database
        .run(
            "CREATE ROLE half LOGIN IN ROLE pg_read_all_data; \
             ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY; \
             DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO half', current_database()); END $$",
        )
        .await;
    let error = bench
        .try_backup(&options(&bench.database.target.with_user("half")))
        .await
        .unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert_eq!(
        error.to_string(),
        "row-level security hides rows of `shop.orders` from this role; nothing was dumped"
    );
    assert_eq!(bench.store().names().unwrap(), [] as [String; 0]);
    assert!(
        !bench.folder.path().join("store").exists(),
        "nothing is left behind"
    );
}

#[tokio::test]
async fn a_role_that_may_not_read_every_table_may_not_back_up() {
    let bench = Bench::full().await;
    bench
        .database
        .run(
            "CREATE ROLE blind LOGIN BYPASSRLS; GRANT USAGE ON SCHEMA shop, \"Odd \"\"Schema\" TO blind; \
             GRANT SELECT ON ALL TABLES IN SCHEMA shop TO blind; GRANT SELECT ON ALL SEQUENCES IN SCHEMA shop TO blind; \
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO blind; \
             DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO blind', current_database()); END $$",
        )
        .await;
    let options = options(&bench.database.target.with_user("blind"));
    let error = bench.try_backup(&options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert!(
        error
            .to_string()
            .contains("may not read `\"Odd \"\"Schema\".\"Table, (x)\"`"),
        "{error}"
    );
    bench.database.run("GRANT pg_read_all_data TO blind").await;
    let error = bench.try_backup(&options).await.unwrap_err();
    assert!(
        error.to_string().contains("3 of 3 large objects"),
        "{error}"
    );
}

#[tokio::test]
async fn no_change_commits_between_locks_and_snapshot() {
    let bench = Bench::full().await;
    let session = bench.database.session().await;
    let moment = snapshot::take(&session, &Scope::default(), Duration::from_secs(1))
        .await
        .unwrap();
    assert!(!moment.snapshot.is_empty());
    let other = bench.database.session().await;
    for change in [
        "TRUNCATE keyless",
        "ALTER TABLE keyless ALTER a TYPE bigint",
        "DROP TABLE shop.egg",
    ] {
        let sql = format!("SET lock_timeout = '50ms'; {change}");
        let error = other
            .run(&af_db::sql::safe::Sql::written_by_user(sql))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("55P03"), "{change}: {error}");
    }
    session.close().await;
    bench.database.run("TRUNCATE keyless").await;
}

#[tokio::test]
async fn a_locked_table_is_waited_for_and_then_reported() {
    let bench = Bench::full().await;
    let busy = bench.database.session().await;
    let sql = af_db::sql::safe::Sql::new("BEGIN; ALTER TABLE keyless ADD c int");
    busy.run(&sql).await.unwrap();
    let mut options = options(&bench.database.target);
    options.lock_timeout = Duration::from_millis(100);
    let error = bench.try_backup(&options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Busy, "{error:#}");
    busy.run(&af_db::sql::safe::Sql::new("ROLLBACK"))
        .await
        .unwrap();
    bench.try_backup(&options).await.unwrap();
}

#[tokio::test]
async fn a_backup_and_a_migration_keep_each_other_out() {
    use af_db::event::silent;
    use af_db::pg::lock::{self, Share};
    let bench = Bench::full().await;
    let session = bench.database.session().await;
    let held = lock::take(&session, Share::Alone, Duration::ZERO, &silent)
        .await
        .unwrap();
    let error = bench
        .try_backup(&options(&bench.database.target))
        .await
        .unwrap_err();
    assert_eq!(exit_of(&error), Exit::Busy, "{error:#}");
    held.release(&session).await.unwrap();
    bench.backup().await;
}

#[tokio::test]
async fn a_role_that_may_not_make_databases_may_not_restore() {
    let bench = Bench::full().await;
    let archive = bench.backup().await;
    bench.database.run("CREATE ROLE guest LOGIN").await;
    let mut options = bench.restore_options("mine");
    options.target = options.target.with_user("guest");
    let error = bench.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert_eq!(
        error.to_string(),
        "this role may not create databases; nothing was restored"
    );
}

#[tokio::test]
async fn an_owner_that_cannot_be_set_is_refused_first() {
    let bench = Bench::new().await;
    bench
        .database
        .run("CREATE ROLE maker LOGIN CREATEDB; CREATE TABLE t AS SELECT 1 AS a")
        .await;
    let archive = bench.backup().await;
    let mut options = bench.restore_options("mine");
    options.target = options.target.with_user("maker");
    let error = bench.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");
    insta::assert_snapshot!(error, @"this role may not make `postgres` the owner of the restored database; nothing was restored");
    options.no_owner = true;
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!(restored.findings, []);
    // Nor may it rename another role's database, which is also refused before anything is created.
    options.target = bench.restore_options("theirs").target.with_user("maker");
    bench
        .database
        .run("CREATE DATABASE theirs TEMPLATE template0")
        .await;
    for place in [Destination::New, Destination::Swap] {
        options.place = place;
        let error = bench.restore(&archive, &options).await.unwrap_err();
        assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"database `theirs` is owned by `postgres`, and this role may not rename it; nothing was restored");
        }
    }
    bench
        .database
        .run("ALTER DATABASE theirs OWNER TO maker")
        .await;
    options.place = Destination::New;
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!((restored.findings, restored.kept_as), (Vec::new(), None));
}

#[tokio::test]
async fn a_reassigned_public_schema_restores_without_owners() {
    let bench = Bench::new().await;
    bench
        .database
        .run("CREATE ROLE keeper; ALTER SCHEMA public OWNER TO keeper; CREATE TABLE t AS SELECT 1 AS a")
        .await;
    let archive = bench.backup().await;
    let mut options = bench.restore_options("owned");
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!(restored.findings, []);
    options = bench.restore_options("mine");
    options.no_owner = true;
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!(restored.findings, []);
}

#[tokio::test]
async fn a_refused_restore_leaves_nothing() {
    let bench = Bench::full().await;
    let archive = bench.backup().await;
    // A role that may make databases but not the archive's superuser things: its event trigger fails half-way.
    bench.database.run("CREATE ROLE maker LOGIN CREATEDB").await;
    let mut options = bench.restore_options("mine");
    options.target = options.target.with_user("maker");
    options.no_owner = true;
    let error = bench.restore(&archive, &options).await.unwrap_err();
    assert_eq!(exit_of(&error), Exit::CannotDo, "{error:#}");
    assert!(error.to_string().contains("pg_restore failed"), "{error:#}");
    assert_eq!(bench.databases().await, [bench.database.name.as_str()]);
}

#[tokio::test]
async fn missing_roles_are_made_on_another_server() {
    let bench = Bench::full().await;
    let archive = bench.backup().await;
    let other = server::own(None).await;
    let target = other.scratch.target("elsewhere").unwrap();
    let options = super::restore_options(&target, bench.folder.path());
    let restored = bench.restore(&archive, &options).await.unwrap();
    assert_eq!(restored.findings, []);
    let session = af_db::pg::connect::open(&target, &af_db::event::silent)
        .await
        .unwrap();
    let rows = server::rows(
        &session,
        "SELECT rolname, rolcanlogin, pg_has_role(rolname, 'app_reader', 'MEMBER') FROM pg_roles WHERE rolname IN ('App Writer', 'app_owner') ORDER BY 1",
    )
    .await;
    assert_eq!(rows, [["App Writer", "f", "t"], ["app_owner", "f", "f"]]);
}

/// Restores onto another server, where the roles are others.
async fn mapped(
    given: &[&str],
) -> (
    Bench,
    server::Server,
    anyhow::Result<af_db::backup::restore::Restored>,
) {
    let bench = Bench::full().await;
    bench
        .database
        .run(
            "CREATE POLICY two_roles ON shop.tenants TO \"App Writer\", app_reader USING (true); \
             CREATE FUNCTION who() RETURNS text LANGUAGE sql AS $$ SELECT 'TO app_reader' $$",
        )
        .await;
    let archive = bench.backup().await;
    let other = server::own(None).await;
    let target = other
        .scratch
        .target("elsewhere")
        .expect("a server with other roles");
    let admin = af_db::pg::connect::open(
        &other
            .scratch
            .target("postgres")
            .expect("a server with other roles"),
        &af_db::event::silent,
    )
    .await
    .expect("a server with other roles");
    admin
        .run(&af_db::sql::safe::Sql::new(
            "CREATE ROLE \"Reader 2\" NOLOGIN; CREATE ROLE keeper",
        ))
        .await
        .expect("a server with other roles");
    let mut options = super::restore_options(&target, bench.folder.path());
    let given: Vec<String> = given.iter().map(|&one| one.to_owned()).collect();
    options.mapping =
        af_db::backup::mapping::Mapping::parse(&given).expect("a server with other roles");
    let restored = bench.restore(&archive, &options).await;
    (bench, other, restored)
}

#[tokio::test]
async fn roles_are_mapped_on_another_server() {
    let (_bench, other, restored) = mapped(&["app_reader=Reader 2", "app_owner=keeper"]).await;
    let restored = restored.unwrap();
    assert_eq!(restored.findings, []);
    let session = af_db::pg::connect::open(
        &other.scratch.target("elsewhere").unwrap(),
        &af_db::event::silent,
    )
    .await
    .unwrap();
    let asked = async |sql: &str| server::rows(&session, sql).await;
    assert_eq!(
        asked("SELECT count(*) FROM pg_roles WHERE rolname IN ('app_reader', 'app_owner')").await,
        [["0"]]
    );
    assert_eq!(
        asked("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'tenants'").await,
        [["keeper"]]
    );
    assert_eq!(
        asked("SELECT polname, polroles::regrole[]::text FROM pg_policy ORDER BY 1").await[0],
        ["own_orders", r#"{"\"Reader 2\""}"#]
    );
    assert_eq!(
        asked("SELECT has_table_privilege('Reader 2', 'shop.orders', 'SELECT'), shop.who()").await,
        [["t", "TO app_reader"]]
    );
    // A setting for a role in this database went with it.
    assert_eq!(
        asked(
            "SELECT setconfig::text FROM pg_db_role_setting WHERE setrole = '\"Reader 2\"'::regrole"
        )
        .await,
        [["{work_mem=8MB}"]]
    );
}

#[tokio::test]
async fn two_roles_may_become_one() {
    let (_bench, _other, restored) = mapped(&["app_reader=keeper", "app_owner=keeper"]).await;
    let restored = restored.unwrap();
    assert!(restored.database.is_some(), "{:#?}", restored.findings);
}

#[tokio::test]
async fn mappings_of_unknown_roles_are_refused() {
    let (_bench, other, restored) = mapped(&["app_raeder=keeper"]).await;
    let error = restored.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert_eq!(
        error.to_string(),
        "the backup has no role `app_raeder`; nothing was restored"
    );
    let (_bench, _, restored) = mapped(&["app_reader=kepeer"]).await;
    assert_eq!(
        restored.unwrap_err().to_string(),
        "the server has no role `kepeer` to map to; nothing was restored"
    );
    drop(other);
}

#[tokio::test]
async fn free_connections_respect_every_limit() {
    let bench = Bench::new().await;
    let free = async |role: &str| {
        let session = bench.database.session_as(role).await;
        let free = snapshot::free_sessions(&session).await.unwrap();
        session.close().await;
        free
    };
    bench
        .database
        .run("CREATE ROLE narrow LOGIN CONNECTION LIMIT 3")
        .await;
    let before = free("postgres").await;
    assert!(before > 3, "{before}");
    // One of the three is the session that asks.
    assert_eq!(free("narrow").await, 2);
    let limit = format!(
        "ALTER DATABASE \"{}\" CONNECTION LIMIT 2",
        bench.database.target.database()
    );
    bench.database.run(&limit).await;
    assert!(free("narrow").await <= 1);
}
