//! Small databases with one leak each, or with one harmless thing that looks like a leak: every leak is found with its object and
//! command, nothing is reported on the others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use af_db::event::silent;
use af_db::pg::session::Session;
use af_db::pg::target::Target;
use af_db::rls::prove::{self, Proof, ProofOptions};
use af_db::rls::schema_copy;
use af_db::rls::tenancy::Tenancy;
use af_db::rls::verdict::{ProbeOutcome, ProvenBy};

use af_db::sql::safe::Sql;
use af_db::sql::split;

use crate::support::server::{self, Server};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/rls");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a case that can be read and tried")
        .map(|entry| entry.expect("a case that can be read and tried").path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Runs a file statement by statement, as its migrations may ask for.
pub(crate) async fn load(session: &Session, schema: &str) {
    for statement in split::split(schema) {
        if let Err(error) = session.run(&Sql::written_by_user(statement.text)).await {
            panic!("{error:#}\n{}", statement.text);
        }
    }
}

/// Loads a schema, copies it as the command does, and proves the copy.
pub(crate) async fn proof(server: &Server, schema: &str, tenancy: &str) -> Proof {
    proof_with(server, schema, tenancy, &ProofOptions::usual()).await
}

async fn proof_with(server: &Server, schema: &str, tenancy: &str, effort: &ProofOptions) -> Proof {
    let database = server.database().await;
    load(&database.session().await, schema).await;
    proof_of(server, &database.target, tenancy, effort).await
}

/// Copies the schema of a database as the command does, and proves the copy.
pub(crate) async fn proof_of(
    server: &Server,
    source: &Target,
    tenancy: &str,
    effort: &ProofOptions,
) -> Proof {
    let tenancy =
        Tenancy::parse("tenancy.yaml", tenancy).expect("a case that can be read and tried");
    let (copied, source_info) = schema_copy::schema(
        source,
        &server.scratch,
        &server::options(),
        &tenancy,
        &silent,
    )
    .await
    .expect("a case that can be read and tried");
    let proof = prove::prove(&copied, &tenancy, &source_info, effort, &silent)
        .await
        .expect("a case that can be read and tried");
    server
        .scratch
        .drop_database("proof")
        .await
        .expect("a case that can be read and tried");
    proof
}

/// Gives what leaks, as `object command`.
pub(crate) fn leaks(proof: &Proof) -> BTreeSet<String> {
    proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Leak)
        .map(|one| format!("{} {}", one.object, one.command))
        .collect()
}

/// Three runs at once, each with a server of its own.
const RUNS: usize = 3;

#[tokio::test]
async fn every_leak_is_found_and_nothing_else() {
    every_leak_is_found(0).await;
}

#[tokio::test]
async fn every_leak_is_found_and_nothing_else_in_the_second_third() {
    every_leak_is_found(1).await;
}

#[tokio::test]
async fn every_leak_is_found_and_nothing_else_in_the_last_third() {
    every_leak_is_found(2).await;
}

async fn every_leak_is_found(run: usize) {
    let server = server::own(None).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/rls");
    let (roles, claims) = (
        read(folder.join("roles.sql")),
        read(folder.join("claims.sql")),
    );
    let mut wrong = Vec::new();
    for case in cases().into_iter().skip(run).step_by(RUNS) {
        let name = case
            .file_name()
            .expect("a case that can be read and tried")
            .to_string_lossy()
            .into_owned();
        let text = read(case.join("case.yaml"));
        let (tenancy, expected) = text
            .split_once("\nleaks:")
            .expect("a case that can be read and tried");
        let claims = if tenancy.contains("claims") {
            claims.as_str()
        } else {
            ""
        };
        let schema = format!("{roles}\n{claims}\n{}", read(case.join("schema.sql")));
        let found = leaks(&proof(&server, &schema, tenancy).await);
        let expected: Vec<&str> = expected
            .lines()
            .filter_map(|line| line.strip_prefix("- "))
            .map(|line| line.trim_matches('\''))
            .collect();
        if expected.is_empty() && !found.is_empty() {
            wrong.push(format!("{name}: harmless, but {found:?}"));
        }
        for leak in expected.iter().filter(|leak| !found.contains(**leak)) {
            wrong.push(format!("{name}: missed {leak}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NOTES: &str = "tenancy: {column: tenant_id, tables: [public.notes], identity: {role: case_app, guc: app.tenant_id}, tenants: {a: 1, b: 2}}";

const ROLE: &str = "DO $$ BEGIN CREATE ROLE case_app; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT USAGE ON SCHEMA public TO case_app;";

#[tokio::test]
async fn what_could_not_be_filled_is_not_proven() {
    let server = server::own(None).await;
    let schema = format!(
        "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL);
         CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$;
         CREATE TRIGGER never BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION never(); ALTER TABLE notes ENABLE ALWAYS TRIGGER never;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT ON notes TO case_app;"
    );
    let proof = proof(&server, &schema, NOTES).await;
    assert_eq!(leaks(&proof), BTreeSet::new());
    assert_eq!(proof.count(ProbeOutcome::Passed), 0);
    assert!(proof.unfilled.contains_key("public.notes"), "{proof:?}");
    assert!(
        proof
            .verdicts
            .iter()
            .any(|one| one.verdict == ProbeOutcome::Inconclusive && one.object == "public.notes")
    );
}

#[tokio::test]
async fn a_policy_that_denies_everything_does_not_pass() {
    let server = server::own(None).await;
    let schema = format!(
        "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON notes USING (false); GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO case_app;"
    );
    let proof = proof(&server, &schema, NOTES).await;
    assert_eq!(leaks(&proof), BTreeSet::new());
    assert_eq!(proof.count(ProbeOutcome::Passed), 0, "{proof:?}");
    assert!(proof.count(ProbeOutcome::Inconclusive) >= 4);
}

#[tokio::test]
async fn a_function_that_never_ends_and_one_that_raises_stop_nothing() {
    let server = server::own(None).await;
    let schema = format!(
        "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL); GRANT SELECT ON notes TO case_app;
         CREATE FUNCTION for_ever() RETURNS int LANGUAGE plpgsql AS $$ BEGIN LOOP NULL; END LOOP; END $$;
         CREATE FUNCTION fails(a int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
    );
    let proof = proof(&server, &schema, NOTES).await;
    assert_eq!(
        leaks(&proof),
        BTreeSet::from(["public.notes select".to_owned()])
    );
}

#[tokio::test]
async fn fixtures_fill_what_the_proof_cannot() {
    let server = server::own(None).await;
    let table = |policy: &str| {
        format!(
            "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL, code text NOT NULL);
             CREATE FUNCTION strict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.code <> md5(NEW.id::text) THEN RAISE EXCEPTION 'bad code'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER strict BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION strict(); ALTER TABLE notes ENABLE ALWAYS TRIGGER strict;
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON notes USING ({policy}); GRANT SELECT ON notes TO case_app;"
        )
    };
    let effort = ProofOptions {
        fixtures: Some((
            "policies/fixtures.sql".to_owned(),
            "INSERT INTO notes VALUES (1, 1, md5('1')), (2, 2, md5('2'))".to_owned(),
        )),
        ..ProofOptions::usual()
    };
    let own = "tenant_id = current_setting('app.tenant_id', true)::int";
    let bare = proof(&server, &table(own), NOTES).await;
    assert!(bare.unfilled.contains_key("public.notes"), "{bare:?}");
    let holds = proof_with(&server, &table(own), NOTES, &effort).await;
    assert_eq!(leaks(&holds), BTreeSet::new());
    assert!(holds.is_clean(), "{holds:?}");
    let open = proof_with(&server, &table("true"), NOTES, &effort).await;
    assert_eq!(
        leaks(&open),
        BTreeSet::from(["public.notes select".to_owned()])
    );
}

#[tokio::test]
async fn a_missing_role_and_a_missing_table_are_said() {
    let server = server::own(None).await;
    let tenancy = "tenancy: {column: tenant_id, tables: [public.gone], identity: {role: nobody_here, guc: app.tenant_id}, tenants: {a: 1, b: 2}}";
    let proof = proof(&server, "SELECT 1", tenancy).await;
    let why: Vec<&str> = proof.verdicts.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(why, ["the role does not exist", "the table does not exist"]);
}

#[tokio::test]
async fn a_verdict_carries_its_reason_and_a_script_that_shows_it() {
    let server = server::own(None).await;
    let schema = format!(
        "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL); GRANT SELECT ON notes TO case_app;"
    );
    let proof = proof(&server, &schema, NOTES).await;
    let leak = proof
        .verdicts
        .iter()
        .find(|one| one.verdict == ProbeOutcome::Leak)
        .expect("a case that can be read and tried");
    assert_eq!(
        (
            leak.class.as_deref(),
            leak.proven_by,
            leak.role.as_str(),
            leak.identity.as_str()
        ),
        (Some("A01"), ProvenBy::Probe, "case_app", "a")
    );
    assert!(
        leak.why.contains("row-level security is disabled"),
        "{}",
        leak.why
    );
    let script = leak
        .reproduce
        .clone()
        .expect("a case that can be read and tried");
    // The script runs as it stands, and shows rows of both tenants.
    let database = server.database().await;
    database.run(&schema).await;
    let seen = database.rows(&script).await;
    assert!(
        seen.iter()
            .any(|row| row.get(1).is_some_and(|tenant| tenant == "2")),
        "{seen:?}\n{script}"
    );
}

#[tokio::test]
async fn merge_and_copy_are_tried_where_the_plain_commands_hold() {
    let server = server::own(None).await;
    let schema = format!(
        "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO case_app;
         CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);"
    );
    let held = |proof: &Proof| -> BTreeSet<String> {
        let held = proof
            .verdicts
            .iter()
            .filter(|one| one.verdict == ProbeOutcome::Passed);
        held.map(|one| one.command.clone()).collect()
    };
    let closed = proof(&server, &schema, NOTES).await;
    assert_eq!(leaks(&closed), BTreeSet::new());
    let held_closed = held(&closed);
    for command in ["select", "insert", "update", "delete", "move", "copy"] {
        assert!(
            held_closed.contains(command),
            "{command} in {held_closed:?}"
        );
    }
    let merges = closed.verdicts.iter().filter(|one| one.command == "merge");
    let version = server
        .database()
        .await
        .rows("SHOW server_version_num")
        .await;
    let knows = version[0][0].as_str() >= "150000";
    assert_eq!(merges.count() > 0, knows, "{version:?}");
    // What leaks by the plain command needs no second finding.
    let open = schema.clone() + "CREATE POLICY more ON notes FOR DELETE USING (body IS NULL);";
    let open = proof(&server, &open, NOTES).await;
    assert_eq!(
        leaks(&open),
        BTreeSet::from(["public.notes delete".to_owned()])
    );
}

#[tokio::test]
async fn what_there_was_no_time_for_is_said() {
    let server = server::own(None).await;
    let schema = format!(
        "{ROLE} CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT, DELETE ON notes TO case_app;
         CREATE POLICY own ON notes USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::int);"
    );
    let hurried = ProofOptions {
        limit: std::time::Duration::ZERO,
        ..ProofOptions::usual()
    };
    let proof = proof_with(&server, &schema, NOTES, &hurried).await;
    assert!(!proof.is_clean());
    assert_eq!(proof.unreached[..2], ["reading", "writing"]);
    let open = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Inconclusive);
    assert_eq!(open.count(), proof.unreached.len());
    assert_eq!(proof.count(ProbeOutcome::Passed), 0, "{proof:?}");

    // The time ends within what is tried as well: here every row that is looked at takes its time.
    let slow = schema.replace("tenant_id =", "pg_sleep(0.3) IS NOT NULL AND tenant_id =");
    let began = std::time::Instant::now();
    let hurried = ProofOptions {
        limit: std::time::Duration::from_secs(2),
        ..ProofOptions::usual()
    };
    let proof = proof_with(&server, &slow, NOTES, &hurried).await;
    assert_eq!(proof.unreached.first(), Some(&"reading"));
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    let open = proof
        .verdicts
        .iter()
        .filter(|one| one.verdict == ProbeOutcome::Inconclusive);
    assert_eq!(open.count(), proof.verdicts.len());
}
