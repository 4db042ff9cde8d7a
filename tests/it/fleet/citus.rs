//! A database distributed by Citus, with a stand-in for the extension: its documented catalog, and a function that queries
//! shards, which are tables of the same database.

use crate::support::project::Project;
use crate::support::server;

const STAND_IN: &str = r#"
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL, partkey text, colocationid int NOT NULL DEFAULT 0, repmodel "char" NOT NULL);
CREATE TABLE public.stand_in_shards (shardid bigint, logicalrelid regclass, asked boolean DEFAULT true);
CREATE FUNCTION pg_catalog.run_command_on_shards(table_name regclass, command text, parallel boolean DEFAULT true,
  OUT shardid bigint, OUT success boolean, OUT result text) RETURNS SETOF record LANGUAGE plpgsql AS $body$
BEGIN
  FOR shardid, success IN SELECT s.shardid, s.asked FROM public.stand_in_shards AS s WHERE s.logicalrelid = table_name LOOP
    IF success THEN
      EXECUTE format(command, table_name::text || '_' || shardid) INTO result;
    ELSE
      result := 'connection refused';
    END IF;
    RETURN NEXT;
  END LOOP;
END $body$;
RESET allow_system_table_mods;
"#;

#[tokio::test]
async fn policies_are_compared_on_shards_and_unpropagated_objects_reported() {
    let database = server::database().await;
    let project = Project::of(&database.target);
    let guarded = |table: &str| {
        format!(
            "CREATE TABLE {table} (id bigint, tenant_id int);\nALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n\
             CREATE POLICY own ON {table} USING (tenant_id = 1);\n"
        )
    };
    project.write("migrations/V1__accounts.sql", guarded("accounts"));
    project.write(
        "migrations/V2__plans.sql",
        "CREATE TABLE plans (id bigint);\nCREATE TABLE kept (id bigint);\n",
    );
    let up = project.run(&["up"]).await;
    assert_eq!(up.status, 0, "{up:?}");
    let plain = project
        .run(&["validate", "--live", "--skip-proof", "--json"])
        .await;
    assert!(!plain.stdout.contains("citus"), "{plain:?}");
    database.run(STAND_IN).await;
    for shard in [102_008, 102_009, 102_010] {
        database.run(&guarded(&format!("accounts_{shard}"))).await;
    }
    database
        .run(
            "INSERT INTO pg_dist_partition VALUES ('accounts', 'h', '{VAR}', 2, 's'), ('plans', 'n', NULL, 3, 't');
             INSERT INTO stand_in_shards VALUES (102008, 'accounts', true), (102009, 'accounts', true), (102010, 'accounts', false)",
        )
        .await;
    // One shard has lost a policy that the coordinator has.
    database
        .run(
            "DROP POLICY own ON accounts_102009; CREATE POLICY own ON accounts_102009 USING (true)",
        )
        .await;
    project.write(
        "migrations/V3__rule.sql",
        "CREATE RULE nothing AS ON DELETE TO kept DO INSTEAD NOTHING;\n",
    );
    let ran = project
        .run(&["validate", "--live", "--skip-proof", "--json"])
        .await;
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let told: Vec<String> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["code"].as_str().unwrap().starts_with("citus"))
        .filter(|one| !one["subject"].as_str().unwrap().contains("_1020"))
        .map(|one| {
            format!(
                "{} {}: {}\n{}",
                one["code"].as_str().unwrap(),
                one["subject"].as_str().unwrap(),
                one["message"].as_str().unwrap(),
                one["detail"].as_str().unwrap_or("-")
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    citus-policy public.accounts: row-level security differs from the coordinator on 1 of 3 shards: 102009
    coordinator on true, forced false; own * t public using (tenant_id = 1)
    shard 102009 on true, forced false; own * t public using true
    citus-unasked public.accounts: row-level security could not be read on 1 of 3 shards: 102010
    -
    citus-local public.kept: local to the coordinator and not managed by Citus
    -
    citus-local public.stand_in_shards: local to the coordinator and not managed by Citus
    -
    citus-not-propagated migrations/V3__rule.sql: Citus does not propagate a rule to the workers
    -
    ");
    let mut checks = document["checks"].as_array().unwrap().iter();
    let check = checks.find(|one| one["name"] == "citus").unwrap();
    assert_eq!(
        check["result"],
        "2 Citus tables, policies compared on 3 shards"
    );
    assert_eq!(ran.status, 1, "{ran:?}");
}
