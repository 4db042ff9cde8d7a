//! Single steps, and what is said of them.

use af_db::plan::observe::ObservationSource;
use af_db::plan::observe::lock::LockMode;

use super::support::{observe, told};
use crate::support::server;

const SCHEMA: &str = "
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, note varchar(20), qty int);
CREATE INDEX orders_note ON orders (note);
CREATE VIEW v AS SELECT id FROM orders;
";

async fn check(text: &str, expected: &[&str]) {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let observation = observe(&database, text).await;
    let told: Vec<String> = observation.statements.iter().map(told).collect();
    assert_eq!(told, expected, "{text}\n{observation:#?}");
}

#[tokio::test]
async fn each_statement_of_a_step_has_its_own_effects() {
    check(
        "ALTER TABLE orders ADD COLUMN c uuid DEFAULT gen_random_uuid();
         ALTER TABLE orders ALTER COLUMN note TYPE varchar(40);
         CREATE INDEX orders_qty ON orders (qty);
         ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
         UPDATE orders SET qty = 1;
         GRANT SELECT ON orders TO PUBLIC;
         ALTER TABLE orders DROP COLUMN note;
         DROP TABLE customers CASCADE",
        &[
            "AccessExclusive public.orders; Rewritten public.orders; scan public.orders; \
             build public.orders_note; build public.orders_pkey",
            "",
            "scan public.orders; build public.orders_qty",
            "ShareRowExclusive public.customers; scan public.customers; scan public.orders",
            "scan public.orders; rows public.orders",
            "+public.orders: PUBLIC may SELECT",
            "drop table column public.orders.note lost",
            "AccessExclusive public.customers; drop table public.customers lost; \
             drop table constraint orders_customer_id_fkey on public.orders cascaded",
        ],
    )
    .await;
}

#[tokio::test]
async fn effects_on_relations_of_the_plan_are_left_out() {
    check(
        "CREATE TABLE fresh (id int); CREATE INDEX ON fresh (id); INSERT INTO fresh VALUES (1); DROP TABLE fresh",
        &["", "", "", ""],
    )
    .await;
}

#[tokio::test]
async fn a_table_of_the_plan_may_get_a_toast_table() {
    check(
        "CREATE TABLE fresh (id int); ALTER TABLE fresh ADD COLUMN body text; INSERT INTO fresh VALUES (1, 'x')",
        &["", "", ""],
    )
    .await;
    // An index that the plan made on a table of before is looked at as often as it is built.
    check(
        "CREATE INDEX orders_qty ON orders (qty); REINDEX INDEX orders_qty",
        &[
            "Share public.orders; scan public.orders; build public.orders_qty",
            "scan public.orders; build public.orders_qty",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_failing_statement_ends_the_step() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let observation = observe(
        &database,
        "SELECT 1; ALTER TABLE orders ALTER id TYPE text; SELECT 2",
    )
    .await;
    let failed = observation.failed().expect("a failure");
    let reason = failed.failed.as_ref().expect("a failure");
    assert_eq!((failed.number, reason.sqlstate.as_str()), (2, "0A000"));
    assert_eq!(observation.statements.len(), 2);
}

#[tokio::test]
async fn non_transactional_statements_are_observed() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let text = "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY i ON orders (qty);
         DROP INDEX CONCURRENTLY orders_note; VACUUM FULL orders; REINDEX TABLE CONCURRENTLY customers;
         DO $$ BEGIN UPDATE orders SET qty = 1; COMMIT; END $$";
    let observation = observe(&database, text).await;
    let told: Vec<String> = observation.statements.iter().map(told).collect();
    let (sampled, known) = told.split_last().expect("five statements");
    assert_eq!(
        known,
        [
            "ShareUpdateExclusive public.orders; scan public.orders; build public.i",
            "ShareUpdateExclusive public.orders; drop index public.orders_note",
            "AccessExclusive public.orders; Clustered public.orders; build public.orders_pkey",
            "ShareUpdateExclusive public.customers; build public.customers_pkey",
        ]
    );
    // What commits by itself is over between two samples, or is not.
    assert!(
        ["", "RowExclusive public.orders"].contains(&sampled.as_str()),
        "{sampled}"
    );
}

#[tokio::test]
async fn a_step_may_change_role_and_deallocate_prepared_statements() {
    let server = server::own(None).await;
    let database = server.database().await;
    database.run(SCHEMA).await;
    database
        .run("CREATE ROLE small; GRANT ALL ON orders TO small; ALTER TABLE orders OWNER TO small")
        .await;
    let text = "SET ROLE small; DROP VIEW IF EXISTS nothing; ALTER TABLE orders DROP COLUMN qty; DEALLOCATE ALL; \
                SET search_path = ''; ALTER TABLE public.orders ALTER note SET NOT NULL; RESET ALL";
    let observation = observe(&database, text).await;
    assert!(observation.failed().is_none(), "{observation:#?}");
    assert_eq!(observation.held(7)[0].mode, LockMode::AccessExclusive);
    assert_eq!(told(&observation.statements[5]), "scan public.orders");
    let questions = &observation.statements[5].questions;
    assert_eq!(questions[0].about, "rows where note is null");
}

#[tokio::test]
async fn observing_leaves_nothing_behind() {
    let database = server::database().await;
    observe(&database, "SELECT 1").await;
    let left = database
        .one("SELECT (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_namespace WHERE nspname ~ 'af_db')")
        .await;
    assert_eq!(left, "0");
}

#[tokio::test]
async fn parts_of_dropped_objects_are_not_listed() {
    let database = server::database().await;
    database
        .run("CREATE EXTENSION citext; CREATE TABLE mails (mail citext); CREATE FUNCTION say(mail citext) RETURNS text LANGUAGE sql AS 'SELECT mail::text'")
        .await;
    let observation = observe(&database, "DROP EXTENSION citext CASCADE").await;
    let statement = observation.statements.first().expect("a statement");
    let dropped = statement.dropped.iter().map(|it| it.name.as_str());
    assert_eq!(
        dropped.collect::<Vec<_>>(),
        ["citext", "public.say(public.citext)", "public.mails.mail"]
    );
}

#[tokio::test]
async fn a_part_of_a_type_is_lost_where_a_table_holds_it() {
    let types = "CREATE TYPE place AS (street text, town text)";
    let database = server::database().await;
    database.run(types).await;
    let text = "ALTER TYPE place DROP ATTRIBUTE town CASCADE";
    let observation = observe(&database, text).await;
    let told = told(&observation.statements[0]);
    assert!(
        told.contains("composite type column public.place.town"),
        "{told}"
    );
    assert!(!told.contains("lost"), "{told}");
    database
        .run("CREATE TYPE spot AS (street text, town text); CREATE TABLE held (places spot[]); CREATE TABLE more (place spot)")
        .await;
    let text = "ALTER TYPE spot DROP ATTRIBUTE town CASCADE";
    let observation = observe(&database, text).await;
    let gone = observation.statements[0]
        .dropped
        .first()
        .expect("it is gone");
    assert_eq!(gone.loses.as_deref(), Some("public.held"));
}

/// Returns whose rows go, or lose their references, without being named.
async fn alongs(text: &str) -> String {
    let database = server::database().await;
    let schema = "
        CREATE TABLE teams (id int PRIMARY KEY);
        CREATE TABLE people (id int PRIMARY KEY, team int REFERENCES teams ON DELETE CASCADE, boss int REFERENCES people ON DELETE SET NULL);
        CREATE TABLE notes (person int REFERENCES people ON DELETE CASCADE) PARTITION BY LIST (person);
        CREATE TABLE notes_rest PARTITION OF notes DEFAULT;
        CREATE TABLE cars (id int PRIMARY KEY, person int REFERENCES people ON DELETE SET NULL);
        CREATE TABLE seats (car int REFERENCES cars ON DELETE CASCADE);
        CREATE TABLE bills (team int REFERENCES teams, car int REFERENCES cars ON DELETE RESTRICT);
        CREATE TABLE years (at int PRIMARY KEY) PARTITION BY LIST (at);
        CREATE TABLE years_1 PARTITION OF years FOR VALUES IN (1);
        CREATE TABLE months (year int REFERENCES years ON DELETE CASCADE);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
    ";
    database.run(schema).await;
    let observation = observe(&database, text).await;
    let last = observation.statements.last().expect("a statement");
    assert!(last.failed.is_none(), "{text}: {last:?}");
    let rows = last.rows.iter().filter_map(|rows| {
        let along = rows.along.as_ref()?;
        let what = match (rows.deletes, rows.all) {
            (false, _) => "cleared",
            (true, false) => "deleted",
            (true, true) => "all deleted",
        };
        Some(format!("{} {what} with {}", rows.relation, along.with))
    });
    rows.collect::<Vec<_>>().join("; ").replace("public.", "")
}

#[tokio::test]
async fn cascaded_rows_are_reported() {
    let check = async |text: &str, expected: &str| {
        assert_eq!(alongs(text).await, expected, "{text}");
    };
    check(
        "DELETE FROM teams WHERE id = 1",
        "cars cleared with people; notes deleted with people; people deleted with teams",
    )
    .await;
    check(
        "DELETE FROM teams",
        "cars cleared with people; notes all deleted with people; people all deleted with teams",
    )
    .await;
    check(
        "MERGE INTO cars USING people ON cars.person = people.id WHEN MATCHED THEN DELETE",
        "seats deleted with cars",
    )
    .await;
    check(
        "DO $$ BEGIN DELETE FROM cars; END $$",
        "seats deleted with cars",
    )
    .await;
    check(
        "DELETE FROM years WHERE at = 1",
        "months deleted with years",
    )
    .await;
    check("DELETE FROM years_1", "months all deleted with years_1").await;
    check(
        "WITH gone AS (DELETE FROM cars RETURNING person) INSERT INTO people SELECT person FROM gone",
        "seats deleted with cars",
    )
    .await;
}

#[tokio::test]
async fn rows_without_cascade_are_not_reported() {
    for text in [
        "DELETE FROM seats",
        "DELETE FROM bills",
        "UPDATE teams SET id = id",
        "INSERT INTO teams VALUES (1)",
        "MERGE INTO cars USING people ON cars.person = people.id WHEN MATCHED THEN UPDATE SET person = 1",
        "CREATE TABLE more (id int PRIMARY KEY); CREATE TABLE most (more int REFERENCES more ON DELETE CASCADE); DELETE FROM more",
        "ALTER TABLE people DROP CONSTRAINT people_team_fkey; DELETE FROM teams",
    ] {
        assert_eq!(alongs(text).await, "", "{text}");
    }
}

#[tokio::test]
async fn statements_that_need_target_libraries_are_not_run() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let text = "SECURITY LABEL FOR labels ON TABLE orders IS 'secret'; ALTER TABLE orders ADD COLUMN x int;";
    let observation = observe(&database, text).await;
    let reason = match &observation.statements[0].spoke {
        ObservationSource::Nobody(reason) => reason.as_str(),
        other => panic!("{other:?}"),
    };
    assert!(reason.contains("labels"), "{reason}");
    assert!(observation.failed().is_none());
    assert_eq!(
        told(&observation.statements[1]),
        "AccessExclusive public.orders"
    );
}

#[tokio::test]
async fn grants_of_dropped_views_are_reported() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    database.run("GRANT SELECT ON v TO PUBLIC").await;
    let observation = observe(
        &database,
        "DROP VIEW v; CREATE VIEW v AS SELECT id FROM orders",
    )
    .await;
    let told: Vec<String> = observation.statements.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "AccessExclusive public.v; drop view public.v; -public.v: no longer: PUBLIC may SELECT",
            "AccessShare public.orders"
        ]
    );
}

#[tokio::test]
async fn the_last_revoked_grant_is_reported() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    database
        .run("GRANT SELECT ON orders TO PUBLIC; CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
        .await;
    let text = "REVOKE SELECT ON orders FROM PUBLIC; REVOKE USAGE ON SCHEMA s FROM PUBLIC; \
                ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC";
    let observation = observe(&database, text).await;
    let told: Vec<String> = observation.statements.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "-public.orders: no longer: PUBLIC may SELECT",
            "-schema s: no longer: PUBLIC may USAGE",
            "-default privileges: no longer: PUBLIC may SELECT tables that postgres makes"
        ]
    );
}

#[tokio::test]
async fn a_policy_opens_only_what_was_there() {
    let database = server::database().await;
    database.run(SCHEMA).await;
    let text = "CREATE TABLE fresh (id int); CREATE POLICY p ON fresh USING (true); \
                ALTER TABLE orders RENAME TO old; CREATE POLICY p ON old USING (true);";
    let observation = observe(&database, text).await;
    let opens = |at: usize| {
        observation.statements[at]
            .security
            .iter()
            .any(|it| it.opens)
    };
    assert!(!opens(1), "{observation:#?}");
    assert!(opens(3), "{observation:#?}");
}

#[tokio::test]
async fn cascaded_indexes_are_reported_and_those_of_dropped_tables_are_not() {
    check(
        "ALTER TABLE orders DROP COLUMN note",
        &["AccessExclusive public.orders; drop index public.orders_note cascaded; drop table column public.orders.note lost"],
    )
    .await;
    check(
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        &["AccessExclusive public.orders; drop table constraint orders_pkey on public.orders"],
    )
    .await;
}
