//! Tenants that are schemas of one database.

use crate::support::project::Project;
use crate::support::server::{self, Database};

/// A database of so many tenants, and the project that governs them.
struct Tenants {
    project: Project,
    database: Database,
}

impl Tenants {
    async fn new(count: usize) -> Tenants {
        let database = server::database().await;
        for at in 0..count {
            database
                .run(&format!("CREATE SCHEMA \"Tenant {at:02}\""))
                .await;
        }
        let project = Project::of(&database.target);
        project.write(
            "shared/V1__plans.sql",
            "CREATE TABLE public.plans (name text PRIMARY KEY);\n",
        );
        project.write(
            "migrations/V1__accounts.sql",
            "CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, plan text REFERENCES plans, note text);\n\
             CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM accounts; END;\n",
        );
        project.write(
            "migrations/V2__accounts_note_idx.sql",
            "-- af-db: no-transaction\nCREATE INDEX CONCURRENTLY accounts_note_idx ON accounts (note);\n",
        );
        project.write(
            "migrations/V3__plans.sql",
            "INSERT INTO accounts (note) SELECT 'first' WHERE pg_sleep(0.05) IS NOT NULL;\n",
        );
        let fleet = format!(
            "base: \"{url}\"\nshared: shared\nconcurrency: 6\nper-server: 6\nconnect-timeout: 5s\n\
             query:\n  url: \"{url}\"\n  sql: SELECT nspname AS schema, lower(nspname) AS name FROM pg_namespace WHERE nspname LIKE 'Tenant%' ORDER BY 1\n",
            url = project.url()
        );
        project.write("fleet.yaml", fleet);
        Tenants { project, database }
    }

    async fn document(&self, arguments: &[&str]) -> serde_json::Value {
        let more = ["--fleet", "fleet.yaml", "--json"];
        let ran = self.project.run(&[arguments, &more].concat()).await;
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"))
    }

    /// Counts the tenants with a history of their own, by what it says.
    async fn histories(&self) -> String {
        self.database
            .one(
                "SELECT coalesce(string_agg(rows || ': ' || tenants, ', ' ORDER BY rows), '-') FROM (
                   SELECT rows, count(*) AS tenants FROM (
                     SELECT (xpath('/row/v/text()', query_to_xml(format(
                       'SELECT string_agg(version::text, '' '' ORDER BY version) AS v FROM %I.refinery_schema_history', nspname), false, true, '')))[1]::text AS rows
                     FROM pg_namespace WHERE to_regclass(format('%I.refinery_schema_history', nspname)) IS NOT NULL) AS one
                   GROUP BY rows) AS counted",
            )
            .await
    }
}

#[tokio::test]
async fn fifty_tenants_are_killed_in_the_middle_and_resumed() {
    let tenants = Tenants::new(50).await;
    let mut begun = tenants.project.start(&["up", "--fleet", "fleet.yaml"]);
    let through = "SELECT count(*) FROM pg_class WHERE relname = 'accounts_note_idx'";
    while tenants
        .database
        .one(through)
        .await
        .parse::<usize>()
        .unwrap()
        < 8
    {}
    begun.start_kill().expect("it runs");
    let killed = tenants.project.ended(begun).await;
    assert_eq!(killed.status, -1, "{killed:?}");
    let before = tenants.histories().await;
    assert_ne!(before, "1 2 3: 50");
    let report = tenants.document(&["up", "--resume"]).await;
    assert_eq!(report["outcome"], "clean", "{report:#}");
    assert_eq!(tenants.histories().await, "1: 1, 1 2 3: 50");
    // Each migration of each tenant once, what is shared once, and nothing of a tenant's where all can see it.
    let once = "SELECT string_agg(DISTINCT times::text, ' ') FROM (SELECT count(*) AS times FROM af_db.journal WHERE state = 'applied' GROUP BY substring(run, '/.*'), version) AS one";
    assert_eq!(tenants.database.one(once).await, "1");
    let accounts = "SELECT count(*) || ' ' || bool_and(nspname LIKE 'Tenant%') FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relname = 'accounts'";
    assert_eq!(tenants.database.one(accounts).await, "50 true");
    let verified = tenants.project.run(&["history", "--verify"]).await;
    assert_eq!(verified.status, 0, "{verified:?}");
    let status = tenants
        .project
        .run(&["status", "--fleet", "fleet.yaml", "--check"])
        .await;
    assert_eq!(status.status, 0, "{status:?}");
    insta::assert_snapshot!(status.stdout, @"
    50 databases of fleet.yaml

    V3      50  up to date
    ");
}

#[tokio::test]
async fn tenants_are_planned_once_and_the_odd_one_is_named() {
    let tenants = Tenants::new(4).await;
    let plan = tenants.document(&["plan", "--out", "plan.json"]).await;
    let states = plan["plan"]["states"].as_array().unwrap();
    assert_eq!(states.len(), 1, "{plan:#}");
    assert_eq!(states[0]["databases"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_tenant_that_differs_is_set_aside() {
    let tenants = Tenants::new(4).await;
    let up = tenants.document(&["up"]).await;
    assert_eq!(up["applied"].as_array().unwrap().len(), 4, "{up:#}");
    assert_eq!(up["shared"][0][1], 1, "{up:#}");
    tenants
        .database
        .run("ALTER TABLE \"Tenant 02\".accounts ADD COLUMN by_hand int")
        .await;
    let validated = tenants.document(&["validate", "--skip-proof"]).await;
    let findings = validated["findings"].as_array().unwrap();
    let drifted: Vec<&str> = findings
        .iter()
        .filter(|one| one["code"] == "fleet-drifted")
        .map(|one| one["subject"].as_str().unwrap())
        .collect();
    assert_eq!(drifted, ["tenant 02"], "{validated:#}");
    // What one of them lacks is a migration that the others get all the same.
    tenants.project.write(
        "migrations/V4__seats.sql",
        "ALTER TABLE accounts ADD COLUMN seats int;\n",
    );
    tenants
        .database
        .run("DROP SCHEMA \"Tenant 03\" CASCADE; CREATE SCHEMA \"Tenant 04\"")
        .await;
    let plan = tenants.document(&["plan", "--out", "plan.json"]).await;
    let sha256 = plan["sha256"].as_str().unwrap();
    let up = tenants
        .document(&["up", "--plan", "plan.json", "--approve", sha256])
        .await;
    let applied = up["applied"].as_array().unwrap().iter();
    let names: Vec<&str> = applied.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "{up:#}");
    assert_eq!(up["set-aside"][0]["name"], "tenant 02", "{up:#}");
    assert!(
        !up["findings"].to_string().contains("after-schema"),
        "{up:#}"
    );
    let backed = tenants.document(&["backup", "--to", "store"]).await;
    assert_eq!(
        backed["databases"].as_array().unwrap().len(),
        1,
        "{backed:#}"
    );
    let refused = tenants
        .project
        .run(&["diff-rls", "--prove", "--live", "--fleet", "fleet.yaml"])
        .await;
    insta::assert_snapshot!(refused.stderr, @"
    error: `tenant 00` is a schema, but diff-rls works on whole databases; nothing was done
    hint: To compare the tenants of a database: af-db validate --fleet
    ");
    assert_eq!(refused.status, 2);
}
