//! Plans as an operator meets them: what they say, what binds a run to one, who may approve.

mod abort;
mod approval;
#[cfg(target_os = "linux")]
mod data_loss;
mod drill;
mod hooks;
mod predictions;
mod preflight;
#[cfg(target_os = "linux")]
mod typed_confirmation;

use af_db::pg::target::Target;

use crate::support::project::{CommandOutput, Project};
use crate::support::server;

/// Makes a project with three migrations, the first of them applied, on a database with a row to lose.
pub(super) async fn project(target: &Target, rules: &str) -> Project {
    let project = Project::of(target);
    configure(&project, rules);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id int PRIMARY KEY, note text);\nINSERT INTO a VALUES (1, 'x');\n",
    );
    // The first is applied before anything guards the database.
    std::fs::rename(
        project.folder.path().join("af-db.yaml"),
        project.folder.path().join("later.yaml"),
    )
    .expect("renamed");
    project.run(&["up"]).await.ok();
    std::fs::rename(
        project.folder.path().join("later.yaml"),
        project.folder.path().join("af-db.yaml"),
    )
    .expect("renamed");
    project.write(
        "migrations/V2__b.sql",
        "-- af-db: timeout 5min\nCREATE TABLE b (id int PRIMARY KEY REFERENCES a);\nCREATE INDEX b_id ON b (id);\n",
    );
    project.write("migrations/V2__b.down.sql", "DROP TABLE b;\n");
    project.write(
        "migrations/V3__c.sql",
        "-- af-db: irreversible reason=\"the notes are gone\"\n-- af-db: allow D02 reason=\"nobody reads it\"\nALTER TABLE a DROP COLUMN note;\n",
    );
    project
}

/// Configures the environment that the rules are about: a guarded one is production.
pub(super) fn configure(project: &Project, rules: &str) {
    let name = if rules.contains("protected: true") || rules.contains("require") {
        "production"
    } else {
        "staging"
    };
    let text = format!("environments:\n  {name}: {{ url: \"${{DATABASE_URL}}\", {rules} }}\n");
    project.write("af-db.yaml", text);
}

/// Returns how much of the project stands in the database.
pub(super) async fn applied(database: &server::Database) -> String {
    database
        .one("SELECT string_agg(version::text, ',' ORDER BY version) FROM refinery_schema_history")
        .await
}

/// Insists on a refusal that touched nothing, and gives what was said.
pub(super) async fn refused(ran: CommandOutput, database: &server::Database) -> String {
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert_eq!(applied(database).await, "1", "{}", ran.seen());
    ran.stderr
}

/// Returns the name of the plan that was written.
pub(super) async fn plan(project: &Project, environment: &str) -> String {
    let ran = project
        .run(&["plan", "--env", environment, "--out", "plan.json", "--json"])
        .await;
    let document = ran.json();
    document["sha256"].as_str().expect("a name").to_owned()
}

/// Returns the run of the plan for production, approved by its name.
pub(super) fn approved(hash: &str) -> [&str; 7] {
    [
        "up",
        "--env",
        "production",
        "--plan",
        "plan.json",
        "--approve",
        hash,
    ]
}

/// Replaces hashes, so that what is said can be shown.
pub(super) fn without_hashes(text: &str) -> String {
    let mut kept = String::new();
    let text: String = text
        .lines()
        .map(|line| match line.split_once("restore point `") {
            Some(_) => "restore point `NAME` at LSN\n".to_owned(),
            None => format!("{line}\n"),
        })
        .collect();
    let mut parts = text.split("sha256:");
    kept.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = part.trim_start_matches(|character: char| character.is_ascii_hexdigit());
        kept.push_str("HASH");
        kept.push_str(rest);
    }
    kept
}

#[tokio::test]
async fn a_plan_says_what_up_would_run() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    let ran = project
        .run(&["plan", "--env", "staging", "--out", "plan.json"])
        .await;
    insta::assert_snapshot!(without_hashes(&ran.seen()), @"
    plan for staging on postgres@HOST:PORT/DATABASE: 2 migrations, 3 statements; now at 1

    1. migrations/V2__b.sql, one transaction; down migration present
       statement timeout 5 min
       CREATE TABLE b (id int PRIMARY KEY REFERENCES a)
         ShareRowExclusive on a: briefly, blocks writes
       CREATE INDEX b_id ON b (id)

    2. migrations/V3__c.sql, one transaction; irreversible: the notes are gone
       ALTER TABLE a DROP COLUMN note
         AccessExclusive on a: briefly, blocks reads and writes
         drops the column a.note with all its rows: the data is lost

    data lost: public.a.note
    lock timeout 2 s, retried for up to 10 min
    schema before     HASH
    schema after      HASH
    plan              HASH

    to run: af-db up --plan plan.json

    error[observed-loss]: public.a.note: drops the column a.note with all its rows: the data is lost
      at migrations/V3__c.sql:3:1

    1 error
    PostgreSQL VERSION
    status 1
    ");
    let ran = project
        .run(&["up", "--env", "staging", "--plan", "plan.json"])
        .await;
    insta::assert_snapshot!(without_hashes(&ran.seen()), @"
    applied 2 migrations to postgres@HOST:PORT/DATABASE
    as planned: HASH
    restore point `NAME` at LSN
    PostgreSQL VERSION
    plan is up to date
    applied migrations/V2__b.sql (2 statements, N ms)
    applied migrations/V3__c.sql (1 statement, N ms)
    status 0
    ");
    assert_eq!(applied(&database).await, "1,2,3");
    assert_eq!(
        database
            .one("SELECT count(DISTINCT plan_sha256) FROM af_db.journal WHERE version IN (2, 3)")
            .await,
        "1"
    );
    let ran = project.run(&["plan", "--env", "staging"]).await;
    insta::assert_snapshot!(without_hashes(&ran.seen()), @"
    nothing to apply, postgres@HOST:PORT/DATABASE is up to date
    status 0
    ");
}

#[tokio::test]
async fn the_severity_that_fails_can_be_said() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id bigint PRIMARY KEY);\nGRANT SELECT ON a TO PUBLIC;\n",
    );
    for command in ["plan", "validate"] {
        let mut statuses = Vec::new();
        for word in ["error", "warn", "never", "sometimes"] {
            let mut arguments = vec![command, "--fail-on", word];
            if command == "validate" {
                arguments.push("--offline");
            }
            statuses.push(project.run(&arguments).await.status);
        }
        assert_eq!(statuses, [0, 1, 0, 2], "{command}");
    }
}

#[tokio::test]
async fn two_machines_make_the_same_plan() {
    let database = server::database().await;
    let project = project(&database.target, "protected: true").await;
    let here = plan(&project, "production").await;
    let text = std::fs::read(project.folder.path().join("plan.json")).unwrap();
    let elsewhere = Project::of(&database.target);
    for file in [
        "af-db.yaml",
        "migrations/V1__a.sql",
        "migrations/V2__b.sql",
        "migrations/V2__b.down.sql",
        "migrations/V3__c.sql",
    ] {
        elsewhere.write(
            file,
            std::fs::read(project.folder.path().join(file)).unwrap(),
        );
    }
    let tool = elsewhere
        .tool(&["plan", "--env", "production", "--out", "plan.json"])
        .env("USER", "somebody")
        .env("HOSTNAME", "there")
        .env("TZ", "Asia/Tokyo");
    tool.run().await.unwrap();
    let there = std::fs::read(elsewhere.folder.path().join("plan.json")).unwrap();
    assert_eq!(text, there);
    let text = String::from_utf8(there).unwrap();
    assert_eq!(af_db::plan::document::sha256(&text), here);
    for secret in ["postgres@", "tester", "somebody", "sslmode"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn changes_beside_the_steps_are_reported_and_accepted() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    plan(&project, "staging").await;
    database.run("CREATE TABLE beside (id int)").await;
    project.write("migrations/V9__later.sql", "SELECT 1;\n");
    let ran = project
        .run(&["up", "--env", "staging", "--plan", "plan.json"])
        .await;
    insta::assert_snapshot!(without_hashes(&ran.seen()), @"
    applied 2 migrations to postgres@HOST:PORT/DATABASE, 1 still pending
    as planned: HASH
    restore point `NAME` at LSN
    PostgreSQL VERSION
    plan is still valid; the database has changed:
      the schema has changed since the plan was made
    applied migrations/V2__b.sql (2 statements, N ms)
    applied migrations/V3__c.sql (1 statement, N ms)
    status 0
    ");
    assert_eq!(applied(&database).await, "1,2,3");
}

#[tokio::test]
async fn unreached_plan_steps_are_found_afterwards() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    project.write(
        "migrations/V3__c.sql",
        "DO $$ BEGIN IF EXISTS (SELECT FROM a) THEN CREATE FUNCTION surprise() RETURNS int LANGUAGE sql AS 'SELECT 1'; END IF; END $$;\n\
         ALTER TABLE a ADD CONSTRAINT later CHECK (id > 0) NOT VALID;\n",
    );
    project.write("verify/1_rows.sql", "SELECT count(*) = 1 FROM a;\n");
    project.write("verify/2_rows.sql", "SELECT count(*) = 7 FROM a;\n");
    project.write("verify/3_writes.sql", "DELETE FROM a;\n");
    plan(&project, "staging").await;
    let ran = project
        .run(&["up", "--env", "staging", "--plan", "plan.json"])
        .await;
    insta::assert_snapshot!(without_hashes(&ran.seen()), @"
    applied 2 migrations to postgres@HOST:PORT/DATABASE
    as planned: HASH
    restore point `NAME` at LSN

    error[after-schema]: function public.surprise(): found in the database, missing in the plan

    error[after-verify]: verify/2_rows.sql: a query returned false
      at verify/2_rows.sql
      help: The migrations remain applied. Fix this with a new migration, or revert with af-db down

    error[after-verify]: verify/3_writes.sql: cannot execute DELETE in a read-only transaction (SQLSTATE 25006)
      at verify/3_writes.sql
      help: The migrations remain applied. Fix this with a new migration, or revert with af-db down

    warn[after-constraint]: later on public.a: the run left this constraint NOT VALID: existing rows may violate it
      help: ALTER TABLE … VALIDATE CONSTRAINT … in a separate migration

    3 errors, 1 warning
    PostgreSQL VERSION
    plan is up to date
    applied migrations/V2__b.sql (2 statements, N ms)
    applied migrations/V3__c.sql (2 statements, N ms)
    status 1
    ");
    assert_eq!(applied(&database).await, "1,2,3");
}

#[tokio::test]
async fn an_interrupted_plan_continues_with_resume() {
    let database = server::database().await;
    let project = project(
        &database.target,
        "protected: true, require: [approved-plan]",
    )
    .await;
    database.run("CREATE TABLE gate (open bool)").await;
    project.write(
        "migrations/V3__c.sql",
        "INSERT INTO gate SELECT 1 / (SELECT count(*) FROM gate) > 0;\n",
    );
    // The mirror has no rows, so the plan is told to fail; an operator may run it all the same.
    project.write(
        "migrations/V3__c.sql",
        "DO $$ BEGIN IF EXISTS (SELECT FROM gate) THEN RAISE EXCEPTION 'closed'; END IF; END $$;\n",
    );
    database.run("INSERT INTO gate VALUES (false)").await;
    let hash = plan(&project, "production").await;
    let up = approved(&hash);
    let ran = project.run(&up).await;
    assert_eq!(ran.status, 3, "{}", ran.seen());
    database.run("TRUNCATE gate").await;
    let ran = project.run(&up).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(ran.stderr.contains("--resume"), "{}", ran.seen());
    let ran = project.run(&[&up[..], &["--resume"]].concat()).await.ok();
    insta::assert_snapshot!(without_hashes(&ran.seen()), @"
    applied 1 migration to postgres@HOST:PORT/DATABASE
    as planned: HASH
    restore point `NAME` at LSN
    PostgreSQL VERSION
    plan is still valid; the database has changed:
      the history had 1 applied migrations and now has 2
      the schema has changed since the plan was made
    applied migrations/V3__c.sql (1 statement, N ms)
    status 0
    ");
    let ran = project.run(&[&up[..], &["--resume"]].concat()).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(ran.stderr.contains("was already applied"), "{}", ran.seen());
}

#[tokio::test]
async fn a_plan_interrupted_in_its_first_step_continues_with_resume() {
    let database = server::database().await;
    let project = project(&database.target, "require: [approved-plan]").await;
    std::fs::remove_file(project.folder.path().join("migrations/V3__c.sql")).expect("removed");
    // It stops where there are rows, of which the shadow database has none.
    project.write(
        "migrations/V2__b.sql",
        "-- af-db: no-transaction\nCREATE TABLE b (id int);\nSELECT 1 / (1 - count(*)) FROM a;\nCREATE INDEX CONCURRENTLY a_note ON a (note);\n",
    );
    let hash = plan(&project, "production").await;
    let up = approved(&hash);
    let ran = project.run(&up).await;
    assert_eq!(ran.status, 3, "{}", ran.seen());
    database.run("TRUNCATE a").await;
    let ran = project.run(&up).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    insta::assert_snapshot!(ran.stderr, @"
    error: an earlier run of this plan applied migrations/V2__b.sql partially; nothing was changed
    hint: Continue the plan with --resume, or undo the migration: af-db up --abort
    ");
    let ran = project.run(&[&up[..], &["--resume"]].concat()).await.ok();
    assert!(
        ran.stderr.contains("applied migrations/V2__b.sql"),
        "{}",
        ran.seen()
    );
    let ran = project.run(&[&up[..], &["--resume"]].concat()).await;
    assert_eq!(ran.status, 4, "{}", ran.seen());
    assert!(ran.stderr.contains("was already applied"), "{}", ran.seen());
}

#[tokio::test]
async fn a_file_that_is_no_plan_is_refused() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    project.write("plan.json", "{\"version\": 1}");
    insta::assert_snapshot!(project.run(&["up", "--plan", "plan.json"]).await.seen(), @"
    error: plan.json was written by an older af-db
    hint: plan again with this version
    status 4
    ");
    insta::assert_snapshot!(project.run(&["up", "--plan", "nowhere.json"]).await.seen(), @"
    error: reading nowhere.json; nothing was changed
    caused by: No such file or directory (os error 2)
    status 2
    ");
    assert_eq!(applied(&database).await, "1");
}

#[tokio::test]
async fn a_step_that_fails_on_the_mirror_is_found_before() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    project.write(
        "migrations/V3__c.sql",
        "ALTER TABLE nowhere ADD COLUMN x int;\n",
    );
    let ran = project.run(&["plan", "--env", "staging"]).await;
    insta::assert_snapshot!(without_hashes(&ran.seen()), @r#"
    plan for staging on postgres@HOST:PORT/DATABASE: 2 migrations, 3 statements; now at 1

    1. migrations/V2__b.sql, one transaction; down migration present
       statement timeout 5 min
       CREATE TABLE b (id int PRIMARY KEY REFERENCES a)
         ShareRowExclusive on a: briefly, blocks writes
       CREATE INDEX b_id ON b (id)

    2. migrations/V3__c.sql, one transaction; no down migration
       ALTER TABLE nowhere ADD COLUMN x int

    data loss after the failing statement is unknown
    lock timeout 2 s, retried for up to 10 min
    schema before     HASH
    the schema after the run could not be predicted
    plan              HASH

    to run exactly this plan: af-db plan --out plan.json, then af-db up --plan plan.json

    error[plan-fails]: migrations/V3__c.sql: statement 1 fails: relation "nowhere" does not exist (SQLSTATE 42P01)
      at migrations/V3__c.sql:1:1
      help: Fix the file: up would fail and roll back here

    1 error
    PostgreSQL VERSION
    status 1
    "#);
}

#[tokio::test]
async fn an_unwritable_plan_path_is_reported_at_once() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    let mut said = String::new();
    for place in ["nowhere/plans/plan.json", "migrations"] {
        let arguments = ["plan", "--env", "staging", "--out", place];
        said.push_str(&project.run(&arguments).await.seen());
        said.push('\n');
    }
    insta::assert_snapshot!(said, @"
    error: the directory nowhere/plans of --out does not exist. Nothing was planned.
    hint: Create it first: mkdir -p nowhere/plans
    status 2
    error: --out migrations is a directory. Nothing was planned.
    hint: Name a file: --out migrations/plan.json
    status 2
    ");
}

#[tokio::test]
async fn tables_without_any_access_are_reported() {
    let check = async |policy: &str, told: bool| {
        let database = server::database().await;
        let project = project(&database.target, "protected: false").await;
        let text = format!("{policy}ALTER TABLE a ENABLE ROW LEVEL SECURITY;\n");
        project.write("migrations/V2__b.sql", text);
        let arguments = ["plan", "--env", "staging", "--to", "2"];
        let said = project.run(&arguments).await.stdout;
        let line = "warn[plan-shut]: public.a: row-level security is enabled without a policy";
        assert_eq!(said.contains(line), told, "{said}");
    };
    check("", true).await;
    check("CREATE POLICY p ON a USING (id > 0);\n", false).await;
}

#[tokio::test]
async fn deletes_are_reported_and_harmless_statements_are_not() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    project.write(
        "migrations/V2__b.sql",
        "WITH gone AS (DELETE FROM a WHERE id > 5 RETURNING *) SELECT FROM gone;
CREATE INDEX IF NOT EXISTS a_pkey ON a (id);
ALTER DATABASE postgres SET work_mem = '5MB';
",
    );
    let arguments = ["plan", "--env", "staging", "--to", "2"];
    let said = project.run(&arguments).await.stdout;
    for line in [
        "rows may be deleted: public.a",
        "I01 a_pkey: not confirmed on the shadow database, ignored",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    for line in ["no data is lost", "[I01]", "plan-fails"] {
        assert!(!said.contains(line), "{line}:\n{said}");
    }
}
