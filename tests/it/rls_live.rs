//! What touches a real database: reading as two of its tenants, and taking it over as a project; and what policies cost.

use std::collections::BTreeSet;

use af_db::migrate::files;
use af_db::rls::live_probe;
use af_db::rls::tenancy::Tenancy;
use af_db::rls::verdict::ProbeOutcome;

use crate::rls_prove::{leaks, proof};
use crate::support::dev_project::DevProject;
use crate::support::server::{self, Database};

const TENANCY: &str = "tenancy: {column: tenant_id, identity: {role: live_app, guc: app.tenant_id}, tenants: {a: 1, b: 2}}";

const SCHEMA: &str = "
DO $$ BEGIN CREATE ROLE live_app; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT USAGE ON SCHEMA public TO live_app;
CREATE TABLE docs (id int PRIMARY KEY, tenant_id int NOT NULL, title text, is_public boolean DEFAULT false);
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON docs TO live_app USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int OR is_public);
CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL);
CREATE TABLE blank (id int PRIMARY KEY, tenant_id int NOT NULL);
ALTER TABLE blank ENABLE ROW LEVEL SECURITY;
CREATE VIEW titles AS SELECT tenant_id, title FROM docs;
GRANT SELECT ON docs, notes, blank, titles TO live_app;
INSERT INTO docs SELECT n, n % 5, 'title ' || n, n % 10 = 1 FROM generate_series(1, 50) AS n;
INSERT INTO notes SELECT n, n % 5 FROM generate_series(1, 50) AS n;
";

async fn database() -> Database {
    let database = server::database().await;
    database.run(SCHEMA).await;
    database
}

#[tokio::test]
async fn two_real_tenants_read_and_nothing_is_written() {
    let database = database().await;
    let tenancy = Tenancy::parse("tenancy.yaml", TENANCY).unwrap();
    let session = database.session().await;
    let before = database
        .one("SELECT pg_current_xact_id_if_assigned() IS NULL")
        .await;
    let proof = live_probe::look(&session, &tenancy).await.unwrap();
    assert_eq!(before, "t");
    assert_eq!(
        leaks(&proof),
        BTreeSet::from([
            "public.notes select".to_owned(),
            "public.titles select".to_owned()
        ])
    );
    let of = |word| {
        let found = proof.verdicts.iter().filter(|one| one.verdict == word);
        found
            .map(|one| one.object.as_str())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(of(ProbeOutcome::Passed), BTreeSet::from(["public.docs"]));
    assert_eq!(
        of(ProbeOutcome::Inconclusive),
        BTreeSet::from(["public.blank"])
    );
    // The transaction is over and the session is itself again.
    assert_eq!(
        server::rows(&session, "SELECT current_user = session_user, current_setting('transaction_read_only'), current_setting('app.tenant_id', true)").await,
        [["t", "off", ""]]
    );
}

#[tokio::test]
async fn who_may_not_become_the_role_is_told_what_to_do() {
    let database = database().await;
    database.run("DO $$ BEGIN CREATE ROLE live_stranger LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$").await;
    let tenancy = Tenancy::parse("tenancy.yaml", TENANCY).unwrap();
    let session = database.session_as("live_stranger").await;
    let error = live_probe::look(&session, &tenancy).await.unwrap_err();
    insta::assert_snapshot!(error, @"`live_stranger` cannot SET ROLE to `live_app`. Nothing was tried.");
    insta::assert_snapshot!(af_db::error::hint_of(&error).unwrap(), @"GRANT live_app TO live_stranger, or connect as a role that is a member of it; without --live the proof runs on a scratch copy");
    let nameless = TENANCY.replace(", tenants: {a: 1, b: 2}", "");
    let tenancy = Tenancy::parse("tenancy.yaml", &nameless).unwrap();
    let error = live_probe::look(&session, &tenancy).await.unwrap_err();
    insta::assert_snapshot!(error, @"The tenancy does not name two tenants. Nothing was tried.");
}

#[tokio::test]
async fn the_cost_of_a_policy_is_measured() {
    let server = server::own(None).await;
    let table = |name: &str, asks: &str, index: &str| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, tenant_id int NOT NULL, body text); {index};
             ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {name} USING (tenant_id = {asks}); GRANT SELECT ON {name} TO live_app;"
        )
    };
    let setting = "nullif(current_setting('app.tenant_id', true), '')::int";
    let schema = format!(
        "CREATE ROLE live_app; GRANT USAGE ON SCHEMA public TO live_app; {} {} {}",
        table(
            "good",
            &format!("(SELECT {setting})"),
            "CREATE INDEX good_tenant ON good (tenant_id)"
        ),
        table("bare", &format!("(SELECT {setting})"), "SELECT"),
        table("slow", setting, "SELECT"),
    );
    let proof = proof(&server, &schema, TENANCY).await;
    let told: BTreeSet<(&str, Option<&str>, bool)> = proof
        .costs
        .iter()
        .map(|cost| {
            (
                cost.table.as_str(),
                cost.index.as_deref(),
                cost.asked_per_row,
            )
        })
        .collect();
    assert_eq!(
        told,
        BTreeSet::from([
            ("public.good", Some("good_tenant"), false),
            ("public.bare", None, false),
            ("public.slow", None, true)
        ])
    );
    assert!(
        proof
            .costs
            .iter()
            .all(|cost| cost.rows > 1500 && cost.factor > 0.0)
    );
    assert_eq!(leaks(&proof), BTreeSet::new());
}

#[tokio::test]
async fn a_database_is_taken_over_as_a_project_that_says_what_is_there() {
    let server = server::own(None).await;
    let database = server.database().await;
    database.run(SCHEMA).await;
    let directory = server.scratch.directory().expect("a server of our own");
    let project = DevProject::new();
    let url = format!(
        "postgresql://postgres@/{}?host={}&sslmode=disable",
        database.name,
        directory.display()
    );
    let run = |arguments: &[&str]| {
        let arguments: Vec<&str> = [arguments, &["--database-url", &url]].concat();
        project.run(&arguments).replace(&url, "URL")
    };
    let told = run(&["init", "--from-live"]);
    for line in [
        "wrote af-db.yaml",
        "wrote migrations/V1__baseline.sql",
        "wrote policies/from-live.yaml",
        "wrote schemas/docs.yaml",
        "V1__baseline recorded as applied",
        "note[rls-not-folded]: public.notes: is written as plain SQL: row-level security is disabled",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let folder = files::list(&project.path().join("migrations"), "migrations").unwrap();
    assert_eq!(folder.migrations.len(), 1);
    let status = run(&["status", "--check"]);
    assert!(
        status.contains("1 migration is applied, 0 pending"),
        "{status}"
    );
    let compared = run(&["diff-rls"]);
    assert!(
        compared.contains("1 note\n") && !compared.contains("exit"),
        "{compared}"
    );
    let again = run(&["init", "--from-live"]);
    assert!(
        again.contains("af-db.yaml already exists; nothing was written"),
        "{again}"
    );
    assert!(again.ends_with("exit 4\n"), "{again}");
}

/// Policies that recurse, err, raise and never end, each on a table of its own, beside one that is well.
const BROKEN: &str = "
CREATE FUNCTION raises() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'closed on sundays'; END $$;
CREATE FUNCTION sleeps() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(60) IS NOT NULL';
CREATE TABLE loops (id int PRIMARY KEY, tenant_id int NOT NULL);
CREATE TABLE errs (id int PRIMARY KEY, tenant_id int NOT NULL);
CREATE TABLE stops (id int PRIMARY KEY, tenant_id int NOT NULL);
CREATE TABLE waits (id int PRIMARY KEY, tenant_id int NOT NULL);
DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY '{loops,errs,stops,waits}'::text[] LOOP
  EXECUTE format('INSERT INTO %1$I SELECT n, n %% 5 FROM generate_series(1, 20) AS n; ALTER TABLE %1$I ENABLE ROW LEVEL SECURITY; GRANT SELECT ON %1$I TO live_app', name);
END LOOP; END $$;
CREATE POLICY p ON loops USING (tenant_id IN (SELECT l.tenant_id FROM loops l));
CREATE POLICY p ON errs USING (tenant_id = (current_setting('app.tenant_id') || 'x')::int);
CREATE POLICY p ON stops USING (raises());
CREATE POLICY p ON waits USING (sleeps());
";

#[tokio::test]
async fn what_a_policy_cannot_answer_is_not_proven_and_stops_nothing() {
    let database = database().await;
    database.run(BROKEN).await;
    let tenancy = Tenancy::parse("tenancy.yaml", TENANCY).unwrap();
    let proof = live_probe::look(&database.session().await, &tenancy)
        .await
        .unwrap();
    let mut told: Vec<String> = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Inconclusive && one.object != "public.blank")
        .map(|one| format!("{}: {}", one.object, one.why))
        .collect();
    told.sort();
    insta::assert_snapshot!(told.join("\n"), @r#"
    public.errs: invalid input syntax for type integer: "2x"
    public.loops: infinite recursion detected in policy for relation "loops"
    public.stops: closed on sundays
    public.waits: canceling statement due to statement timeout
    "#);
    let held = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Passed);
    assert!(held.into_iter().any(|one| one.object == "public.docs"));
}

#[tokio::test]
async fn a_role_that_is_not_there_and_one_that_reads_nothing_are_said() {
    let database = database().await;
    let session = database.session().await;
    let more = TENANCY.replace("role: live_app", "roles: [live_app, live_gone]");
    let tenancy = Tenancy::parse("tenancy.yaml", &more).unwrap();
    let proof = live_probe::look(&session, &tenancy).await.unwrap();
    let gone: Vec<&str> = proof
        .verdicts
        .iter()
        .filter(|one| one.object == "live_gone")
        .map(|one| one.why.as_str())
        .collect();
    assert_eq!(
        gone,
        ["the role does not exist. Declare the role that requests use."]
    );

    database.run("DO $$ BEGIN CREATE ROLE live_idle; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$").await;
    let idle = TENANCY.replace("live_app", "live_idle");
    let tenancy = Tenancy::parse("tenancy.yaml", &idle).unwrap();
    let error = live_probe::look(&session, &tenancy).await.unwrap_err();
    insta::assert_snapshot!(error, @"live_idle cannot read any tenant table or view. Nothing was tried.");
}
