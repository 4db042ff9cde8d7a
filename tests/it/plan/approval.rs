//! Every way to tamper with an approval, each refused with nothing touched.

use af_db::plan::document::{self, PlanDocument};
use minisign::KeyPair;

use super::{applied, approved, plan, project, refused, without_hashes};
use crate::support::project::Project;
use crate::support::server::{self, Database};

/// A guarded project with its keys, a plan, and a signature that holds.
struct Case {
    database: Database,
    project: Project,
    bob: KeyPair,
    tester: KeyPair,
    hash: String,
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().expect("keys")
}

async fn case() -> Case {
    let database = server::database().await;
    let (bob, tester) = (pair(), pair());
    let rules = format!(
        "protected: true, require: [approved-plan], approvers: [\"bob {}\", \"tester {}\"]",
        bob.pk.to_base64(),
        tester.pk.to_base64()
    );
    let project = project(&database.target, &rules).await;
    let hash = plan(&project, "production").await;
    let case = Case {
        database,
        project,
        bob,
        tester,
        hash,
    };
    case.sign(&case.bob, "production", 1);
    case
}

impl Case {
    /// Signs the plan as it stands, for an environment, until so many hours from now.
    fn sign(&self, pair: &KeyPair, environment: &str, hours: i64) {
        let plan = std::fs::read(self.project.folder.path().join("plan.json")).expect("a plan");
        let until = chrono::Utc::now() + chrono::TimeDelta::hours(hours);
        let comment = format!(
            "environment={environment} expires={}",
            until.format("%Y-%m-%dT%H:%M:%SZ")
        );
        let signed = minisign::sign(Some(&pair.pk), &pair.sk, &plan[..], Some(&comment), None);
        self.project.write(
            "plan.json.minisig",
            signed.expect("a signature").to_string(),
        );
    }

    async fn up(&self, environment: &str) -> crate::support::project::CommandOutput {
        let arguments = [
            "up",
            "--env",
            environment,
            "--plan",
            "plan.json",
            "--approve",
            &self.hash,
        ];
        self.project.run(&arguments).await
    }

    /// Insists that the run is refused for this reason.
    async fn refuses(&self, environment: &str, why: &str) {
        let said = refused(self.up(environment).await, &self.database).await;
        assert!(said.contains(why), "{why:?} is not why:\n{said}");
    }
}

#[tokio::test]
async fn an_approved_plan_runs_once() {
    let case = case().await;
    let ran = case.up("production").await.ok();
    assert!(ran.stdout.contains("approved by bob"), "{}", ran.seen());
    assert_eq!(applied(&case.database).await, "1,2,3");
    let again = case.up("production").await;
    assert_eq!(again.status, 4, "{}", again.seen());
    insta::assert_snapshot!(without_hashes(&again.stderr).split(" at ").next().unwrap(), @"error: plan HASH was already applied");
}

#[tokio::test]
async fn modified_sql_is_refused() {
    let case = case().await;
    case.project.write(
        "migrations/V2__b.sql",
        "-- af-db: timeout 5min\nCREATE TABLE b (id int PRIMARY KEY REFERENCES a);\nGRANT ALL ON b TO PUBLIC;\n",
    );
    let said = refused(case.up("production").await, &case.database).await;
    insta::assert_snapshot!(without_hashes(&said), @"
    PostgreSQL VERSION
    error: plan.json is stale; nothing was changed:
      - migrations/V2__b.sql:3: CREATE INDEX b_id ON b (id)
      + migrations/V2__b.sql:3: GRANT ALL ON b TO PUBLIC
      finding not in the plan: X06 b: Grants access to b to all current and future roles
      the resulting schema differs from the plan
    hint: Review the differences, then make a new plan and have it approved
    ");
}

#[tokio::test]
async fn a_modified_plan_is_refused() {
    let case = case().await;
    let path = case.project.folder.path().join("plan.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = text.replace("\"public.a.note\"", "\"public.a.other\"");
    assert_ne!(text, edited);
    std::fs::write(&path, &edited).unwrap();
    case.refuses("production", "was modified after af-db wrote it")
        .await;
    // One that is made whole again is found by what it says, by the hash and by the signature.
    let forge = |change: &dyn Fn(&mut PlanDocument)| {
        let mut document = PlanDocument::parse("plan.json", &text).unwrap();
        change(&mut document);
        std::fs::write(&path, document.print().unwrap()).unwrap();
    };
    forge(&|document| document.losses.clear());
    case.refuses("production", "is stale").await;
    forge(&|document| document.author = Some("carol".to_owned()));
    case.refuses("production", "not the approved one").await;
    let arguments = ["up", "--env", "production", "--plan", "plan.json", "--yes"];
    let said = refused(case.project.run(&arguments).await, &case.database).await;
    assert!(
        said.contains("is for another plan or was modified"),
        "{said}"
    );
}

#[tokio::test]
async fn another_database_is_refused() {
    let case = case().await;
    let other = server::database().await;
    let there = project(&other.target, "protected: true").await;
    for file in ["af-db.yaml", "plan.json", "plan.json.minisig"] {
        let bytes = std::fs::read(case.project.folder.path().join(file)).unwrap();
        there.write(file, bytes);
    }
    let arguments = approved(&case.hash);
    let said = refused(there.run(&arguments).await, &other).await;
    assert!(said.contains("the database OID is"), "{said}");
}

#[tokio::test]
async fn another_environment_is_refused() {
    let case = case().await;
    let path = case.project.folder.path().join("af-db.yaml");
    let production = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, production.replace("  production:", "  staging:")).unwrap();
    let why = "the environment is `staging`, the plan is for `production`";
    case.refuses("staging", why).await;
    std::fs::write(&path, production).unwrap();
    case.sign(&case.bob, "staging", 1);
    case.refuses("production", "approved the plan for environment `staging`")
        .await;
}

#[tokio::test]
async fn an_expired_approval_is_refused() {
    let case = case().await;
    case.sign(&case.bob, "production", -1);
    case.refuses("production", "expired at").await;
    case.sign(&case.bob, "production", 24 * 30);
    case.refuses("production", "more than 7 days").await;
}

#[tokio::test]
async fn the_signature_of_the_author_is_refused() {
    let case = case().await;
    case.sign(&case.tester, "production", 1);
    case.refuses("production", "`tester` is the author of this plan")
        .await;
}

#[tokio::test]
async fn the_signature_of_a_stranger_is_refused() {
    let case = case().await;
    case.sign(&pair(), "production", 1);
    case.refuses("production", "not by any of the approvers")
        .await;
    std::fs::remove_file(case.project.folder.path().join("plan.json.minisig")).unwrap();
    case.refuses("production", "no signature").await;
}

#[tokio::test]
async fn yes_is_never_enough() {
    let database = server::database().await;
    let project = project(
        &database.target,
        "protected: true, require: [approved-plan]",
    )
    .await;
    let hash = plan(&project, "production").await;
    let mut said = String::new();
    for arguments in [
        vec!["up", "--yes"],
        vec!["up", "--env", "production", "--yes"],
        vec!["up", "--env", "production", "--yes", "--plan", "plan.json"],
        vec!["up", "--plan", "plan.json", "--approve", &hash[..20]],
        approved("").to_vec(),
    ] {
        let ran = project.run(&arguments).await;
        said.push_str(&refused(ran, &database).await);
    }
    insta::assert_snapshot!(without_hashes(&said), @"
    error: environment `production` requires an approved plan; nothing was changed
    hint: Save a plan with af-db plan --out plan.json, have it approved, then run af-db up --plan plan.json
    error: environment `production` requires an approved plan; nothing was changed
    hint: Save a plan with af-db plan --out plan.json, have it approved, then run af-db up --plan plan.json
    PostgreSQL VERSION
    plan is up to date
    error: environment `production` requires an approved plan, and there is no terminal; nothing was changed
    hint: Approve it by its hash: --approve HASH
    PostgreSQL VERSION
    plan is up to date
    error: plan.json is plan HASH, not the approved one; nothing was changed
    hint: Approve the reviewed plan by its full hash: --approve HASH… (64 digits)
    PostgreSQL VERSION
    plan is up to date
    error: plan.json is plan HASH, not the approved one; nothing was changed
    hint: Approve the reviewed plan by its full hash: --approve HASH… (64 digits)
    ");
}

#[tokio::test]
async fn a_guard_that_cannot_be_kept_is_refused() {
    let database = server::database().await;
    let project = project(&database.target, "require: [full-moon]").await;
    let said = refused(project.run(&["up", "--env", "production"]).await, &database).await;
    insta::assert_snapshot!(said, @"
    error: environment `production` requires `full-moon`, which this version of af-db does not support; nothing was changed
    hint: Supported: approved-plan, verified-backup-within 24h and proven-rls. Remove the other one from af-db.yaml or upgrade af-db
    ");
}

#[tokio::test]
async fn a_fresh_verified_backup_is_required() {
    let database = server::database().await;
    let project = project(&database.target, "require: [verified-backup-within 24h]").await;
    let said = refused(project.run(&["up", "--env", "production"]).await, &database).await;
    insta::assert_snapshot!(said, @"
    error[backup-stale]: DATABASE: no verified backup of this database in PROJECT/backups
      help: make and verify one: af-db backup, then af-db backup verify or af-db restore --drill

    1 error

    error: environment `production` requires a recent verified backup; nothing was changed
    ");
    project.run(&["backup", "--env", "production"]).await.ok();
    project
        .run(&["backup", "verify", "latest", "--env", "production"])
        .await
        .ok();
    let ran = project.run(&["up", "--env", "production"]).await.ok();
    let undone = "to restore the last verified backup: af-db restore --swap --env=production --from=PROJECT/backups DATABASE-2";
    assert!(ran.stderr.contains(undone), "{}", ran.seen());
    assert_eq!(applied(&database).await, "1,2,3");
}

#[tokio::test]
async fn policies_that_leak_hold_the_run() {
    let database = server::database().await;
    let project = project(&database.target, "require: [proven-rls]").await;
    project.write(
        "migrations/V4__notes.sql",
        "CREATE ROLE reader_of_notes NOLOGIN;
         CREATE TABLE notes (id int PRIMARY KEY, tenant_id int NOT NULL, body text);
         GRANT SELECT ON notes TO reader_of_notes;\n",
    );
    project.write(
        "policies/tenancy.yaml",
        "tenancy:\n  column: tenant_id\n  model: session_guc\n  identity: { role: reader_of_notes, guc: app.tenant_id }\n  tenants: { a: \"1\", b: \"2\" }\n",
    );
    let said = refused(project.run(&["up", "--env", "production"]).await, &database).await;
    insta::assert_snapshot!(said, @"
    PostgreSQL VERSION
    error[rls-E05]: public.notes: select as reader_of_notes (a) reaches another tenant: public.notes has tenant rows and reader_of_notes has privileges on public.notes, but row-level security is disabled
      BEGIN;
      -- rows of both tenants
      INSERT INTO public.notes AS t (id, tenant_id, body) OVERRIDING SYSTEM VALUE VALUES ('1005'::integer, '1'::integer, 'zqa5-row'::text) ON CONFLICT DO NOTHING;
      INSERT INTO public.notes AS t (id, tenant_id, body) OVERRIDING SYSTEM VALUE VALUES ('1006'::integer, '1'::integer, 'zqa6-row'::text) ON CONFLICT DO NOTHING;
      INSERT INTO public.notes AS t (id, tenant_id, body) OVERRIDING SYSTEM VALUE VALUES ('1007'::integer, '2'::integer, 'zqb7-row'::text) ON CONFLICT DO NOTHING;
      INSERT INTO public.notes AS t (id, tenant_id, body) OVERRIDING SYSTEM VALUE VALUES ('1008'::integer, '2'::integer, 'zqb8-row'::text) ON CONFLICT DO NOTHING;
      -- the request: a
      SELECT pg_catalog.set_config('app.tenant_id', '1', true);
      SET LOCAL ROLE reader_of_notes;
      SELECT id, tenant_id, body FROM public.notes;
      ROLLBACK;

    1 error

    error: tenant isolation is not proven with these migrations (1 leak, 0 passed, 0 inconclusive); nothing was changed
    hint: see af-db diff-rls --prove --shadow
    ");
}

#[tokio::test]
async fn two_approvals_are_two_keys() {
    let database = server::database().await;
    let (ann, bob) = (pair(), pair());
    let rules = format!(
        "protected: true, approvals: 2, approvers: [\"ann {}\", \"bob {}\"]",
        ann.pk.to_base64(),
        bob.pk.to_base64()
    );
    let project = project(&database.target, &rules).await;
    let hash = plan(&project, "production").await;
    let case = Case {
        database,
        project,
        bob,
        tester: ann,
        hash,
    };
    let there = |name: &str| case.project.folder.path().join(name);
    case.sign(&case.bob, "production", 1);
    case.refuses("production", "the plan has 1 of 2 approvals (by bob)")
        .await;
    // The same key again, under another name and until another hour, is no second approval.
    std::fs::rename(there("plan.json.minisig"), there("plan.json.ann.minisig")).expect("renamed");
    case.sign(&case.bob, "production", 2);
    case.refuses("production", "the plan has 1 of 2 approvals (by bob)")
        .await;
    case.sign(&case.tester, "production", 1);
    std::fs::rename(there("plan.json.minisig"), there("ann.sig")).expect("renamed");
    let named = |signatures: &[&'static str]| {
        let mut arguments = super::approved(&case.hash).to_vec();
        for signature in signatures {
            arguments.extend(["--signature", signature]);
        }
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |signatures: &[&'static str]| {
        let arguments = named(signatures);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        case.project.run(&arguments).await
    };
    let said = refused(run(&["ann.sig"]).await, &case.database).await;
    assert!(said.contains("1 of 2 approvals (by ann)"), "{said}");
    let ran = run(&["ann.sig", "plan.json.ann.minisig"]).await.ok();
    assert!(
        ran.stdout.contains("approved by ann, bob"),
        "{}",
        ran.seen()
    );
    assert_eq!(applied(&case.database).await, "1,2,3");
}

#[tokio::test]
async fn an_author_who_approves_under_another_spelling_is_refused() {
    let case = case().await;
    let entry = format!("TESTER {}", case.tester.pk.to_base64());
    let path = case.project.folder.path().join("af-db.yaml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let old = format!("tester {}", case.tester.pk.to_base64());
    std::fs::write(&path, text.replace(&old, &entry)).expect("written");
    case.sign(&case.tester, "production", 1);
    case.refuses("production", "`TESTER` is the author of this plan")
        .await;
}

#[tokio::test]
async fn findings_that_are_cut_out_before_it_is_signed_are_missed() {
    let mut case = case().await;
    case.project
        .write("migrations/V4__grant.sql", "GRANT SELECT ON a TO PUBLIC;\n");
    plan(&case.project, "production").await;
    let path = case.project.folder.path().join("plan.json");
    let text = std::fs::read_to_string(&path).expect("the plan");
    let mut plan = PlanDocument::parse("plan.json", &text).expect("a plan");
    assert!(!plan.findings.is_empty(), "{text}");
    plan.findings.clear();
    let forged = plan.print().expect("printed");
    std::fs::write(&path, &forged).expect("written");
    case.hash = document::sha256(&forged);
    case.sign(&case.bob, "production", 1);
    case.refuses("production", "finding not in the plan").await;
}
