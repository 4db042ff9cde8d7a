//! Whichever command runs statements on a managed database stops when it blocks other sessions for too long.

use af_db::sql::safe::Sql;

use crate::support::project::{CommandOutput, Project};
use crate::support::server::{self, Database};

/// Waits only on the database that is changed, not where the same statements are tried first.
fn slow(database: &Database) -> String {
    format!(
        "SELECT pg_sleep(60) WHERE current_database() = '{}';\n",
        database.name
    )
}

/// A project whose table `a` is applied, and whose second migration locks it for a minute, either way.
async fn project(database: &Database) -> Project {
    let project = Project::of(&database.target);
    project.write(
        "migrations/V1__a.sql",
        "CREATE TABLE a (id bigint PRIMARY KEY, tenant_id int);\n",
    );
    project.run(&["up"]).await.ok();
    project
}

/// Runs a command, and reads the table with this many sessions as soon as the command has locked it.
async fn blocked(
    project: &Project,
    database: &Database,
    arguments: &[&str],
    readers: usize,
) -> CommandOutput {
    let run = project.run(arguments);
    let read = async {
        let looker = database.session().await;
        let locked = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = to_regclass('a') AND mode = 'AccessExclusiveLock' AND granted)";
        let mut seen = false;
        for _ in 0..6000 {
            seen = server::rows(&looker, locked).await == [["t"]];
            if seen {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(seen, "the table was never locked");
        let reads = (0..readers).map(async |_| {
            let reader = database.session().await;
            reader
                .run(&Sql::new("SELECT FROM a"))
                .await
                .expect("a read");
        });
        futures_util::future::join_all(reads).await;
    };
    tokio::join!(run, read).0
}

fn is_stopped(ran: &CommandOutput) {
    let seen = ran.seen();
    assert!(seen.contains("blocked by this run"), "{seen}");
    assert!(seen.contains("longer than the 1 s allowed"), "{seen}");
}

#[tokio::test]
async fn up_stops() {
    let database = server::database().await;
    let project = project(&database).await;
    let text = format!("ALTER TABLE a ADD COLUMN more int;\n{}", slow(&database));
    project.write("migrations/V2__b.sql", text);
    let ran = blocked(&project, &database, &["up", "--block-budget", "1s"], 20).await;
    assert_eq!(ran.status, 75, "{}", ran.seen());
    is_stopped(&ran);
    let more =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'more'";
    assert_eq!(database.one(more).await, "0");
}

#[tokio::test]
async fn down_stops() {
    let database = server::database().await;
    let project = project(&database).await;
    project.write(
        "migrations/V2__b.sql",
        "ALTER TABLE a ADD COLUMN more int;\n",
    );
    let text = format!("ALTER TABLE a DROP COLUMN more;\n{}", slow(&database));
    project.write("migrations/V2__b.down.sql", text);
    project.run(&["up"]).await.ok();
    let ran = blocked(
        &project,
        &database,
        &["down", "--yes", "--block-budget", "1s"],
        3,
    )
    .await;
    assert_eq!(ran.status, 75, "{}", ran.seen());
    is_stopped(&ran);
    let more =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'more'";
    assert_eq!(database.one(more).await, "1");
}

#[tokio::test]
async fn applying_policies_stops() {
    let database = server::database().await;
    let project = project(&database).await;
    // The statements are quick; this makes the transaction last once the table is locked.
    database
        .run(
            "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60) FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '% on public.a'; END $$;
             CREATE EVENT TRIGGER waits ON ddl_command_end WHEN TAG IN ('CREATE POLICY') EXECUTE FUNCTION wait()",
        )
        .await;
    project.write(
        "policies/a.yaml",
        "tables:\n  public.a:\n    policies:\n      own: FOR SELECT USING (tenant_id = 1)\n",
    );
    let apply = ["diff-rls", "--apply", "--yes", "--block-budget", "1s"];
    let ran = blocked(&project, &database, &apply, 3).await;
    assert_eq!(ran.status, 75, "{}", ran.seen());
    is_stopped(&ran);
    assert_eq!(database.one("SELECT count(*) FROM pg_policy").await, "0");
}

#[tokio::test]
async fn a_fleet_stops() {
    let database = server::database().await;
    let project = project(&database).await;
    let text = format!("ALTER TABLE a ADD COLUMN more int;\n{}", slow(&database));
    project.write("migrations/V2__b.sql", text);
    let fleet = format!(
        "base: \"{}\"\nretries: 0\ndatabases:\n- {{ name: one, database: {} }}\n",
        project.url(),
        database.name
    );
    project.write("fleet.yaml", fleet);
    let up = [
        "up",
        "--fleet",
        "fleet.yaml",
        "--yes",
        "--block-budget",
        "1s",
    ];
    let ran = blocked(&project, &database, &up, 3).await;
    assert_ne!(ran.status, 0, "{}", ran.seen());
    is_stopped(&ran);
    let more =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'more'";
    assert_eq!(database.one(more).await, "0");
}
