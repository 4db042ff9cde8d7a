//! Every tampering with a restored database is caught and named.

use af_db::backup::compare::{self, SchemaCompareOptions};
use af_db::backup::{clients, properties, toc, unpack};
use af_db::event::silent;
use af_db::finding::Finding;

use super::Bench;
use crate::support::server;

/// Compares the bench's own database, tampered with, to its archive.
async fn differences(bench: &Bench, verified: &unpack::Verified) -> Vec<Finding> {
    let contents = verified
        .contents
        .as_ref()
        .expect("a readable archive and database");
    let target = &bench.database.target;
    let mut findings = compare::data::compare(target, &contents.proof, &silent)
        .await
        .expect("a readable archive and database");
    let found = clients::search(&server::places())
        .await
        .expect("a readable archive and database");
    let dump = clients::for_dump(&found, verified.archive.major())
        .expect("a readable archive and database")
        .tool("pg_dump", target)
        .args(["-Fc", "-Z0", "-s"])
        .run()
        .await
        .expect("a readable archive and database");
    let restored = toc::read(&dump.stdout)
        .expect("a readable archive and database")
        .expect("a readable archive and database");
    let leniency = SchemaCompareOptions {
        no_owner: false,
        across_majors: false,
        roles_merged: false,
    };
    findings.extend(compare::schema::compare(
        &contents.summary.toc,
        &restored,
        leniency,
    ));
    let session = bench.database.session().await;
    let database = properties::database(&session)
        .await
        .expect("a readable archive and database");
    findings.extend(compare::properties::compare(
        &contents.proof.database,
        &database,
        leniency,
    ));
    findings
}

#[tokio::test]
async fn every_tampering_is_named() {
    let bench = Bench::full().await;
    let archive = bench.backup().await;
    let verified = bench.verify(&archive, &[]).await.unwrap();
    assert_eq!(differences(&bench, &verified).await, []);
    for (tamper, subject, undo) in TAMPERINGS {
        bench.database.run(tamper).await;
        let found = differences(&bench, &verified).await;
        assert!(!found.is_empty(), "not caught: {tamper}");
        assert!(
            found
                .iter()
                .all(|finding| finding.subject.contains(subject)),
            "{tamper} should be named {subject}: {found:#?}"
        );
        bench.database.run(undo).await;
        assert_eq!(differences(&bench, &verified).await, [], "after {undo}");
    }
}

/// What is done to the database, the name under which it must be found, and how it is undone.
const TAMPERINGS: &[(&str, &str, &str)] = &[
    (
        "CREATE TABLE public.kept AS SELECT * FROM keyless LIMIT 1; DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless); DROP TABLE public.kept",
        "public.keyless",
        "INSERT INTO keyless VALUES (1, 'b1')",
    ),
    (
        "UPDATE shop.hen SET egg = NULL WHERE id = 1",
        "shop.hen",
        "UPDATE shop.hen SET egg = 1 WHERE id = 1",
    ),
    (
        "UPDATE shop.tenants SET amount = 1.100000 WHERE name = 'tenant 7'; UPDATE shop.tenants SET about = '{}' WHERE name = 'tenant 7'",
        "shop.tenants",
        r#"UPDATE shop.tenants SET about = jsonb_build_object('n', 7, 'text', E'tab\t line\n back\\ quote"') WHERE name = 'tenant 7'"#,
    ),
    (
        "ALTER POLICY own_orders ON shop.orders USING (true)",
        "shop.orders own_orders",
        "ALTER POLICY own_orders ON shop.orders USING (tenant_id::text = current_setting('app.tenant', true))",
    ),
    (
        "REVOKE SELECT ON shop.tenants FROM app_reader",
        "shop.TABLE tenants",
        "GRANT SELECT ON shop.tenants TO app_reader",
    ),
    (
        "COMMENT ON TABLE shop.orders IS NULL",
        "shop.TABLE orders",
        "COMMENT ON TABLE shop.orders IS 'what was ordered'",
    ),
    (
        "SELECT setval('shop.tickets', 100)",
        "shop.tickets",
        "SELECT setval('shop.tickets', 101)",
    ),
    (
        "SELECT lo_unlink(70003)",
        "large objects",
        "SELECT lo_create(70003)",
    ),
    (
        "SELECT lo_put(70001, 0, 'F')",
        "large objects",
        "SELECT lo_put(70001, 0, 'f')",
    ),
    (
        "ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY",
        "shop.orders",
        "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY",
    ),
    (
        "ALTER EVENT TRIGGER watch_ddl DISABLE",
        "watch_ddl",
        "ALTER EVENT TRIGGER watch_ddl ENABLE",
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER ROLE app_reader IN DATABASE %I RESET ALL', current_database()); END $$",
        "setting work_mem",
        "DO $$ BEGIN EXECUTE format('ALTER ROLE app_reader IN DATABASE %I SET work_mem TO %L', current_database(), '8MB'); END $$",
    ),
];
