//! One tenant's rows out of everybody's, and back among them.

use af_db::backup::archive::{Archive, Scope};
use af_db::backup::tenant::{export, restore};
use af_db::backup::unpack::{self, ArchiveSource};
use af_db::error::{Exit, exit_of};
use af_db::event::{Interrupt, silent};
use anyhow::Result;

use super::{Bench, options};

/// Tenants with everything that makes them hard to take apart: keys in a circle, partitions, a table that names no tenant,
/// one that belongs to nobody, a generated column, and a trigger that changes what is inserted.
const TENANTS: &str = r#"
CREATE TABLE plans (id int PRIMARY KEY, name text);
CREATE TABLE tenants (id uuid PRIMARY KEY, name text, plan int NOT NULL REFERENCES plans);
CREATE TABLE agents (id int PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants, "Odd, ""name" text, latest int,
  size int GENERATED ALWAYS AS (length("Odd, ""name")) STORED);
CREATE TABLE versions (id int PRIMARY KEY, agent int NOT NULL REFERENCES agents, body jsonb);
ALTER TABLE agents ADD FOREIGN KEY (latest) REFERENCES versions;
CREATE TABLE events (at date NOT NULL, tenant_id uuid NOT NULL REFERENCES tenants, agent int REFERENCES agents, note bytea)
  PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE unrelated AS SELECT 1 AS x;
INSERT INTO plans VALUES (1, 'free');
INSERT INTO tenants SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'tenant ' || n, 1 FROM generate_series(1, 3) AS n;
INSERT INTO agents SELECT n, ('00000000-0000-4000-8000-00000000000' || n % 3 + 1)::uuid, E'agent \\ \t' || n FROM generate_series(1, 300) AS n;
INSERT INTO versions SELECT n, (n - 1) / 2 + 1, '{"a": [1, null]}' FROM generate_series(1, 600) AS n;
UPDATE agents SET latest = id * 2;
INSERT INTO events SELECT date '2026-01-01' + n % 59, ('00000000-0000-4000-8000-00000000000' || n % 3 + 1)::uuid, n, '\x00ff5c'
  FROM generate_series(1, 300) AS n;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."Odd, ""name" := 'changed'; RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT ON agents FOR EACH ROW EXECUTE FUNCTION shout();
"#;

const ONE: &str = "00000000-0000-4000-8000-000000000001";

/// Sums of the rows of one tenant, and of the others.
const ROWS: &str = "SELECT \
  (SELECT concat(count(*), ' ', sum(hashtextextended(a::text, 0))) FROM agents AS a WHERE tenant_id = '00000000-0000-4000-8000-000000000001'), \
  (SELECT concat(count(*), ' ', sum(hashtextextended(v::text, 0))) FROM versions AS v JOIN agents AS a ON a.id = v.agent WHERE tenant_id = '00000000-0000-4000-8000-000000000001'), \
  (SELECT concat(count(*), ' ', sum(hashtextextended(e::text, 0))) FROM events AS e WHERE tenant_id = '00000000-0000-4000-8000-000000000001'), \
  (SELECT concat(count(*), ' ', sum(hashtextextended(t::text, 0))) FROM tenants AS t), \
  (SELECT concat(count(*), ' ', sum(hashtextextended(a::text, 0))) FROM agents AS a WHERE tenant_id <> '00000000-0000-4000-8000-000000000001')";

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.database.run(TENANTS).await;
    bench
}

async fn export(bench: &Bench, tenant: &str) -> Result<Archive> {
    let mut options = options(&bench.database.target);
    options.scope = Scope {
        tenant: Some(tenant.to_owned()),
        ..Scope::default()
    };
    let interrupt = Interrupt::default();
    export::run(&options, "tenant_id", &bench.store(), &silent, &interrupt).await
}

async fn bring_back(bench: &Bench, archive: &Archive, replace: bool) -> Result<u64> {
    let (store, interrupt) = (bench.store(), Interrupt::default());
    let source = ArchiveSource {
        store: &store,
        name: &archive.name,
        identities: &[],
    };
    let mut unpacked =
        unpack::tenant::unpack(&source, bench.folder.path(), &silent, &interrupt).await?;
    let loading = restore::TenantLoad {
        target: &bench.database.target,
        column: "tenant_id",
        replace,
        archive: &unpacked.archive,
        proof: &unpacked.proof,
    };
    restore::run(&loading, &mut unpacked.script, &silent, &interrupt).await
}

#[tokio::test]
async fn a_tenant_is_restored_beside_others() {
    let bench = bench().await;
    let archive = export(&bench, ONE).await.unwrap();
    assert_eq!(archive.totals.rows, 1 + 100 + 200 + 100);
    assert_eq!(
        archive.not_included,
        ["rows of public.plans that the tenant's rows reference (they belong to no tenant)"]
    );
    assert!(
        bench
            .verify(&archive, &[])
            .await
            .unwrap()
            .contents
            .is_some()
    );
    let before = bench.database.rows(ROWS).await;

    let refused = bring_back(&bench, &archive, false).await.unwrap_err();
    assert_eq!(exit_of(&refused), Exit::Refused, "{refused:#}");
    assert!(
        refused.to_string().contains("already has rows of tenant"),
        "{refused:#}"
    );

    // The tenant's rows were damaged while another tenant kept working.
    bench
        .database
        .run(&format!(
            "UPDATE versions SET body = '{{}}' WHERE agent IN (SELECT id FROM agents WHERE tenant_id = '{ONE}'); \
             DELETE FROM events WHERE tenant_id = '{ONE}' AND agent < 100"
        ))
        .await;
    assert_ne!(bench.database.rows(ROWS).await, before);
    bring_back(&bench, &archive, true).await.unwrap();
    assert_eq!(bench.database.rows(ROWS).await, before);

    // The tenant is gone altogether.
    bench
        .database
        .run(&format!(
            "SET session_replication_role = replica; DELETE FROM versions USING agents WHERE agent = agents.id AND tenant_id = '{ONE}'; \
             DELETE FROM events WHERE tenant_id = '{ONE}'; DELETE FROM agents WHERE tenant_id = '{ONE}'; DELETE FROM tenants WHERE id = '{ONE}'"
        ))
        .await;
    assert_eq!(bring_back(&bench, &archive, false).await.unwrap(), 0);
    assert_eq!(bench.database.rows(ROWS).await, before);
}

#[tokio::test]
async fn an_incomplete_tenant_restore_is_rolled_back() {
    let bench = bench().await;
    let archive = export(&bench, ONE).await.unwrap();
    let before = bench.database.rows(ROWS).await;
    let refused = async |change: &str, words: &str, undo: &str| {
        bench.database.run(change).await;
        let error = bring_back(&bench, &archive, true).await.unwrap_err();
        assert!(error.to_string().contains(words), "{change}: {error:#}");
        assert!(
            error.to_string().contains("nothing was changed"),
            "{error:#}"
        );
        bench.database.run(undo).await;
        assert_eq!(bench.database.rows(ROWS).await, before, "{change}");
    };
    refused(
        "ALTER TABLE agents ADD extra int",
        "`public.agents` has different columns",
        "ALTER TABLE agents DROP extra",
    )
    .await;
    refused(
        "SET session_replication_role = replica; DELETE FROM plans",
        "rows of `public.tenants` would violate foreign key",
        "INSERT INTO plans VALUES (1, 'free')",
    )
    .await;
    // What came after the export and points at what would go.
    refused(
        "CREATE TABLE likes (agent int REFERENCES agents); INSERT INTO agents (id, tenant_id) VALUES (999, '00000000-0000-4000-8000-000000000001'); INSERT INTO likes VALUES (999)",
        "table `public.likes` has rows of tenants but is not in the backup",
        "DROP TABLE likes; DELETE FROM agents WHERE id = 999",
    )
    .await;
    assert_eq!(
        export(&bench, "00000000-0000-4000-8000-000000000009")
            .await
            .map_err(|error| exit_of(&error)),
        Err(Exit::Refused)
    );
    assert_eq!(bench.store().names().unwrap(), [archive.name.as_str()]);
}

#[tokio::test]
async fn a_role_that_does_not_see_every_row_may_not_export() {
    let bench = bench().await;
    bench
        .database
        .run("CREATE ROLE half LOGIN IN ROLE pg_read_all_data; ALTER TABLE agents ENABLE ROW LEVEL SECURITY")
        .await;
    let mut options = options(&bench.database.target.with_user("half"));
    options.scope.tenant = Some(ONE.to_owned());
    let interrupt = Interrupt::default();
    let refused = export::run(&options, "tenant_id", &bench.store(), &silent, &interrupt).await;
    let error = refused.unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused);
    assert!(
        error.to_string().contains("hides rows of `public.agents`"),
        "{error:#}"
    );
    assert_eq!(bench.store().names().unwrap(), [] as [String; 0]);
}

#[tokio::test]
async fn a_damaged_script_is_refused_and_psql_loads_an_intact_one() {
    let bench = bench().await;
    let archive = export(&bench, ONE).await.unwrap();
    let before = bench.database.rows(ROWS).await;
    let file = bench.archive_path(&archive).join("tenant.sql.zst");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    assert!(bench.verify(&archive, &[]).await.is_err());
    assert!(bring_back(&bench, &archive, true).await.is_err());
    assert_eq!(bench.database.rows(ROWS).await, before);
    let error = bench
        .restore(&archive, &bench.restore_options("never"))
        .await
        .unwrap_err();
    assert_eq!(exit_of(&error), Exit::Refused, "{error:#}");

    let script = zstd::decode_all(whole.as_slice()).unwrap();
    bench
        .database
        .run("SET session_replication_role = replica; DELETE FROM events; DELETE FROM versions; DELETE FROM agents; DELETE FROM tenants")
        .await;
    let found = af_db::backup::clients::search(&crate::support::server::places())
        .await
        .unwrap();
    let done = found[0]
        .tool("psql", &bench.database.target)
        .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"])
        .input(script)
        .run()
        .await
        .unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let after = bench.database.rows(ROWS).await;
    assert_eq!(after[0][..3], before[0][..3]);
}
