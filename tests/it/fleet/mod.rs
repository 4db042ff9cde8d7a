//! Many databases brought up as one.

mod citus;
mod tenants;

use af_db::pg::target::Target;

use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Database};

/// A project and the databases of its fleet.
struct Fleet {
    project: Project,
    databases: Vec<Database>,
}

const SETTINGS: &str = "concurrency: 6\nper-server: 6\nconnect-timeout: 5s\n";

impl Fleet {
    /// Makes so many empty databases and a project with three migrations, the last of which takes away.
    async fn new(count: usize, settings: &str) -> Fleet {
        let mut databases = Vec::new();
        for _ in 0..count {
            databases.push(server::database().await);
        }
        let project = Project::of(&databases[0].target);
        project.write(
            "migrations/V1__accounts.sql",
            "CREATE TABLE accounts (id bigint PRIMARY KEY, old text);\n",
        );
        project.write(
            "migrations/V2__names.sql",
            "ALTER TABLE accounts ADD COLUMN name text;\n",
        );
        project.write(
            "migrations/V3__no_old.sql",
            "ALTER TABLE accounts DROP COLUMN old;\n",
        );
        let mut text = format!(
            "base: \"{}\"\n{SETTINGS}{settings}databases:\n",
            project.url()
        );
        for (at, database) in databases.iter().enumerate() {
            let tier = if at == 0 { "canary" } else { "usual" };
            text.push_str(&format!(
                "- {{ name: m{at:02}, database: {}, tier: {tier} }}\n",
                database.name
            ));
        }
        project.write("fleet.yaml", text);
        Fleet { project, databases }
    }

    fn add(&self, line: &str) {
        let path = self.project.folder.path().join("fleet.yaml");
        let text = std::fs::read_to_string(&path).expect("the fleet");
        std::fs::write(path, format!("{text}{line}\n")).expect("the fleet");
    }

    async fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.project
            .run(&[arguments, &["--fleet", "fleet.yaml"]].concat())
            .await
    }

    async fn document(&self, arguments: &[&str]) -> serde_json::Value {
        let ran = self.run(&[arguments, &["--json"]].concat()).await;
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"))
    }

    /// Brings one of them up by itself.
    async fn alone(&self, at: usize, more: &[&str]) {
        let target: &Target = &self.databases[at].target;
        let other = Project::of(target);
        let url = other.url();
        let ran = self
            .project
            .run(&[&["up", "--database-url", url], more].concat())
            .await;
        assert_eq!(ran.status, 0, "{ran:?}");
    }

    async fn columns(&self, at: usize) -> String {
        self.databases[at]
            .one(
                "SELECT coalesce(string_agg(attname, ' ' ORDER BY attnum), '-') FROM pg_attribute
                  WHERE attrelid = to_regclass('accounts') AND attnum > 0 AND NOT attisdropped",
            )
            .await
    }
}

#[tokio::test]
async fn a_fleet_comes_up_and_those_who_cannot_are_named() {
    let fleet = Fleet::new(9, "waves:\n- { name: canary, where: { tier: canary } }\n").await;
    // Some are ahead of the others, with what they should have.
    fleet.alone(7, &["--to", "2"]).await;
    fleet.alone(8, &[]).await;
    // One of four with one history has another schema, one knows a migration nobody else knows.
    for at in 1..=4 {
        fleet.alone(at, &["--to", "1"]).await;
    }
    fleet.databases[4]
        .run("ALTER TABLE accounts ADD COLUMN by_hand int")
        .await;
    fleet.alone(5, &[]).await;
    fleet.databases[5].run("INSERT INTO refinery_schema_history VALUES (99, 'foreign', '2026-01-01T00:00:00Z', '1')").await;
    fleet.add("- { name: gone, database: nowhere_at_all }");
    let status = fleet.document(&["status"]).await;
    assert_eq!(status["databases"].as_array().unwrap().len(), 10);
    let mut before = fleet.run(&["status"]).await.stdout;
    for (at, database) in fleet.databases.iter().enumerate() {
        before = before.replace(
            &format!("/{}\n", database.name),
            &format!("/DATABASE_{at}\n"),
        );
    }
    insta::assert_snapshot!(before, @r#"
    10 databases of fleet.yaml

    V99                   1  up to date  m05
    V3                    1  up to date  m08
    V2                    1  1 pending   m07
    V1                    4  2 pending   m01, m02, m03, m04
    nothing applied       2  3 pending   m00, m06

    1 database could not be reached

    warn[fleet-ahead]: m05: `foreign` is applied, but not in this checkout (newer than all files)
      postgres@HOST:PORT/DATABASE_5

    warn[fleet-unreachable]: gone: cannot connect to database `nowhere_at_all` at `HOST:PORT`: database "nowhere_at_all" does not exist (SQLSTATE 3D000)
      postgres@HOST:PORT/nowhere_at_all

    2 warnings
    "#);
    let report = fleet.document(&["up"]).await;
    let names = |key: &str| -> Vec<String> {
        let list = report[key].as_array().unwrap().iter();
        let mut names: Vec<String> = list
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names("applied"),
        ["m00", "m01", "m02", "m03", "m06", "m07"],
        "{report:#}"
    );
    assert_eq!(names("set-aside"), ["gone", "m04", "m05"], "{report:#}");
    let drifted = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["subject"] == "m04")
        .unwrap();
    assert!(
        drifted["message"].as_str().unwrap().contains("by_hand"),
        "{drifted:#}"
    );
    for at in [0, 1, 2, 3, 6, 7, 8] {
        assert_eq!(fleet.columns(at).await, "id name");
    }
    assert_eq!(fleet.columns(4).await, "id old by_hand");
    // Alone at its version now, it is held against what the migrations make.
    let again = fleet.document(&["up"]).await;
    assert_eq!(again["applied"].as_array().unwrap().len(), 0, "{again:#}");
    let drifted = again["findings"].to_string();
    assert!(drifted.contains("by_hand"), "{again:#}");
}

#[tokio::test]
async fn the_drifted_are_no_witnesses_for_each_other() {
    let fleet = Fleet::new(8, "").await;
    for at in 0..8 {
        fleet.alone(at, &["--to", "1"]).await;
    }
    // Three alike: once the others have gone on, all that is left at this version.
    for at in 5..8 {
        fleet.databases[at]
            .run("ALTER TABLE accounts ADD COLUMN by_hand int")
            .await;
    }
    for _ in 0..2 {
        let report = fleet.document(&["up"]).await;
        let aside = report["set-aside"].as_array().unwrap();
        assert_eq!(aside.len(), 3, "{report:#}");
        for at in 5..8 {
            assert_eq!(fleet.columns(at).await, "id old by_hand", "{report:#}");
        }
    }
}

#[tokio::test]
async fn what_takes_away_waits_for_what_adds_and_a_failure_stops_the_rest() {
    let fleet = Fleet::new(5, "waves:\n- { name: canary, where: { tier: canary } }\n").await;
    // The second migration will fail here: the column is there already.
    fleet.alone(0, &["--to", "1"]).await;
    for at in 1..5 {
        fleet.alone(at, &["--to", "1"]).await;
    }
    fleet.project.write("migrations/V2__names.sql", "DO $$ BEGIN IF EXISTS (SELECT FROM accounts) THEN RAISE 'there are rows'; END IF; END $$;\nALTER TABLE accounts ADD COLUMN name text;\n");
    fleet.databases[3]
        .run("INSERT INTO accounts VALUES (1, 'x')")
        .await;
    let ran = fleet.run(&["up"]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("there are rows"), "{ran:?}");
    assert!(
        ran.stdout
            .contains("stopped: 1 database has failed, limit 0"),
        "{ran:?}"
    );
    // The canary has what adds, and nobody has lost anything.
    assert_eq!(fleet.columns(0).await, "id old name");
    assert_eq!(fleet.columns(3).await, "id old");
    fleet.databases[3].run("DELETE FROM accounts").await;
    let ran = fleet.run(&["up", "--resume"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    for at in 0..5 {
        assert_eq!(fleet.columns(at).await, "id name");
    }
}

#[tokio::test]
async fn a_locked_database_does_not_hold_up_the_others_and_is_named() {
    let fleet = Fleet::new(4, "retries: 1\n").await;
    for at in 0..4 {
        fleet.alone(at, &["--to", "1"]).await;
    }
    let blocker = fleet.databases[2].session().await;
    let lock = af_db::sql::safe::Sql::written_by_user("BEGIN; LOCK TABLE accounts");
    blocker.run(&lock).await.unwrap();
    let report = fleet.document(&["up", "--lock-budget", "1s"]).await;
    assert_eq!(report["applied"].as_array().unwrap().len(), 3, "{report:#}");
    assert_eq!(report["busy"][0]["name"], "m02", "{report:#}");
    assert_eq!(report["outcome"], "half-way", "{report:#}");
    // What takes away has not run anywhere, for one has not what adds.
    assert_eq!(fleet.columns(0).await, "id old name");
    blocker.close().await;
    let report = fleet.document(&["up"]).await;
    assert_eq!(report["outcome"], "clean", "{report:#}");
    assert_eq!(fleet.columns(2).await, "id name");
}

#[tokio::test]
async fn a_gate_that_says_no_holds_the_next_wave() {
    let gate = "waves:\n- { name: canary, where: { tier: canary }, gate-sql: \"SELECT count(*) = 1 FROM accounts\" }\n";
    let fleet = Fleet::new(3, gate).await;
    let ran = fleet.run(&["up"]).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(
        ran.stdout
            .contains("`m00` failed the gate of wave `canary`"),
        "{ran:?}"
    );
    assert_eq!(fleet.columns(1).await, "-");
}

#[tokio::test]
async fn a_protected_fleet_needs_its_own_approval() {
    let fleet = Fleet::new(2, "").await;
    fleet.project.write(
        "af-db.yaml",
        "environments:\n  production: { url: \"postgres://nowhere/none\", protected: true }\n",
    );
    let refused = fleet.run(&["up", "--env", "production", "--yes"]).await;
    assert_eq!(refused.status, 4, "{refused:?}");
    let wrong = fleet
        .document(&["up", "--env", "production", "--approve", "sha256:00"])
        .await;
    assert_eq!(wrong["outcome"], "failed", "{wrong:#}");
    let hint = wrong.to_string();
    let at = hint.rfind("sha256:").unwrap();
    let hash = &hint[at..at + 71];
    assert_eq!(fleet.columns(0).await, "-");
    let approved = fleet
        .run(&["up", "--env", "production", "--approve", hash])
        .await;
    assert_eq!(approved.status, 0, "{approved:?}");
    assert_eq!(fleet.columns(1).await, "id name");
}

#[tokio::test]
async fn a_plan_is_made_once_for_each_state_and_binds_the_run() {
    let fleet = Fleet::new(8, "").await;
    for at in 3..8 {
        fleet.alone(at, &["--to", "1"]).await;
    }
    let plan = fleet.document(&["plan", "--out", "plan.json"]).await;
    let states = plan["plan"]["states"].as_array().unwrap();
    let shape: Vec<(usize, usize)> = states
        .iter()
        .map(|state| {
            let steps = state["plan"]["steps"].as_array().unwrap();
            (state["databases"].as_array().unwrap().len(), steps.len())
        })
        .collect();
    assert_eq!(shape, [(3, 3), (5, 2)], "{plan:#}");
    let sha256 = plan["sha256"].as_str().unwrap();
    // Nothing that was not looked at is run.
    let wrong = fleet
        .run(&["up", "--plan", "plan.json", "--approve", "sha256:00"])
        .await;
    assert_eq!(wrong.status, 4, "{wrong:?}");
    // One went on a part of the way, one another way, one was not there when the plan was made.
    fleet.alone(0, &["--to", "2"]).await;
    for at in 3..8 {
        fleet.databases[at]
            .run("ALTER TABLE accounts ADD COLUMN by_all int")
            .await;
    }
    let late = server::database().await;
    fleet.add(&format!("- {{ name: late, database: {} }}", late.name));
    let bound = ["up", "--plan", "plan.json", "--approve", sha256];
    let report = fleet.document(&bound).await;
    let aside: Vec<String> = report["set-aside"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{}: {}", one["name"], one["why"]))
        .collect();
    insta::assert_snapshot!(aside.join("\n"), @r#"
    "late": "not in the plan"
    "m03": "the schema has changed since the plan was made"
    "m04": "the schema has changed since the plan was made"
    "m05": "the schema has changed since the plan was made"
    "m06": "the schema has changed since the plan was made"
    "m07": "the schema has changed since the plan was made"
    "#);
    assert_eq!(report["applied"].as_array().unwrap().len(), 3, "{report:#}");
    for at in 0..3 {
        assert_eq!(fleet.columns(at).await, "id name");
    }
    let journal =
        "SELECT count(DISTINCT plan_sha256) || ' ' || min(plan_sha256) FROM af_db.journal";
    assert_eq!(fleet.databases[1].one(journal).await, format!("1 {sha256}"));
    fleet.project.write(
        "migrations/V3__no_old.sql",
        "ALTER TABLE accounts DROP COLUMN old CASCADE;\n",
    );
    let edited = fleet.run(&bound).await;
    insta::assert_snapshot!(edited.stderr, @"
    error: migrations/V3__no_old.sql is not the file that plan.json was made from; nothing was changed
    hint: Restore the file, or make a new plan and have it approved
    ");
    assert_eq!(edited.status, 4, "{edited:?}");
}

#[tokio::test]
async fn a_fleet_is_validated_compared_and_backed_up() {
    let fleet = Fleet::new(3, "").await;
    fleet.project.write(
        "policies/accounts.yaml",
        "tables:\n  accounts:\n    allow: { public: select on all rows }\n    reason: nobody has a tenant here\n",
    );
    let ran = fleet.run(&["up"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    fleet.databases[1]
        .run("ALTER TABLE accounts ENABLE ROW LEVEL SECURITY")
        .await;
    fleet.databases[2]
        .run("ALTER TABLE accounts ADD COLUMN by_hand int")
        .await;
    let validated = fleet.document(&["validate", "--skip-proof"]).await;
    let drifted: Vec<&str> = validated["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["code"] == "fleet-drifted")
        .map(|one| one["subject"].as_str().unwrap())
        .collect();
    assert_eq!(drifted, ["m01", "m02"], "{validated:#}");
    let compared = fleet.run(&["diff-rls"]).await;
    insta::assert_snapshot!(compared.stdout, @"
    3 databases of fleet.yaml

    found       3  m00, m01, m02

    error[rls-enabled]: public.accounts: row-level security is disabled but declared as enabled (in m00, m02)
      at policies/accounts.yaml:2:3
      help: ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY;

    error[rls-forced]: public.accounts: row-level security is not forced for the owner but declared as forced (in m00, m01, m02)
      at policies/accounts.yaml:2:3
      help: ALTER TABLE public.accounts FORCE ROW LEVEL SECURITY;

    error[rls-grant]: public.accounts: missing grant: SELECT on public.accounts to PUBLIC. Missing access for PUBLIC: SELECT on public.accounts, every row (in m00, m01, m02)
      at policies/accounts.yaml:2:3
      help: GRANT SELECT ON TABLE public.accounts TO PUBLIC;

    error[rls-policy]: public.accounts: the declared policy `public_select_all` is missing. Missing access for PUBLIC: SELECT on public.accounts, every row (in m00, m01, m02)
      at policies/accounts.yaml:3:22
      --- declared
      +++ found
      -permissive
      -for SELECT
      -to public
      -using true
      help: CREATE POLICY public_select_all ON public.accounts FOR SELECT TO PUBLIC USING (true);

    4 errors
    ");
    assert_eq!(compared.status, 1, "{compared:?}");
    fleet.add("- { name: gone, database: nowhere_at_all }");
    let backed = fleet.document(&["backup", "--to", "store"]).await;
    let outcomes: Vec<&str> = backed["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes,
        ["clean", "clean", "clean", "failed"],
        "{backed:#}"
    );
    let listed = fleet
        .project
        .run(&["backup", "list", "store", "--json"])
        .await;
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(
        listed["archives"].as_array().unwrap().len(),
        3,
        "{listed:#}"
    );
}
